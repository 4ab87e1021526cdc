"""Long polls at a real server of several processes."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flyte_client import Event, Pack
from tests.packs.polling import (
    MAX_WAITERS,
    PATIENCE,
    Polls,
    call,
    count_waits,
    create_queue,
    post_event,
    register,
    wait_until,
)
from tests.private_postgres import URL_VARIABLE
from tests.private_redis import private_redis
from tests.server import Server, StartServer, running_server

pytestmark = pytest.mark.acceptance

IDLE_PACKS = 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server for the tests of this module; at DEBUG its log has a line for each poll that starts to wait."""
    with running_server(tmp_path_factory.mktemp("server"), {"LOGLEVEL": "DEBUG"}) as started:
        yield started


def test_a_waiting_poll_gets_an_action_that_is_queued(server: Server, polls: Polls) -> None:
    create_queue(server, "Wrk")
    # Several times, so that poll and event reach the same process and different ones.
    for _ in range(8):
        future = polls(server, "Wrk")
        assert not future.done()
        post_event(server, "Wrk")
        response = future.result(PATIENCE)
        assert (response.status_code, response.json()["command"]) == (200, "A")
        assert response.headers["Flyte-Long-Poll"] == "30"


def test_one_of_two_polls_gets_the_action_and_the_other_keeps_waiting(server: Server, polls: Polls) -> None:
    create_queue(server, "Two")
    futures = {polls(server, "Two"), polls(server, "Two")}
    post_event(server, "Two")
    done, pending = wait(futures, PATIENCE, FIRST_COMPLETED)
    assert [future.result().status_code for future in done] == [200]
    post_event(server, "Two")
    (other,) = pending
    assert other.result(PATIENCE).status_code == 200
    assert call(server, "/v1/packs/Two/actions/take").status_code == 204


def test_a_poll_ignores_actions_for_other_labels_and_commands(server: Server, polls: Polls) -> None:
    create_queue(server, "Picky")
    register(server, "Picky", env="dev")
    only_b = polls(server, "Picky", "&commandName=B")
    dev = polls(server, "Picky.env.dev", "&actionName=A")
    post_event(server, "Picky", 2)
    assert dev.result(PATIENCE).json()["command"] == "A"
    post_event(server, "Picky", 0)
    post_event(server, "Picky", 1)
    assert only_b.result(PATIENCE).json()["command"] == "B"
    assert call(server, "/v1/packs/Picky/actions/take").json()["command"] == "A"


def test_a_pack_deleted_during_its_poll_takes_nothing(server: Server, polls: Polls) -> None:
    create_queue(server, "Deleted")
    future = polls(server, "Deleted")
    assert call(server, "/v1/packs/Deleted", method="DELETE").status_code == 204
    post_event(server, "Deleted")
    assert future.result(PATIENCE).status_code == 404
    register(server, "Deleted")
    assert call(server, "/v1/packs/Deleted/actions/take").status_code == 200


def test_nothing_is_taken_for_a_client_that_disconnected_while_waiting(server: Server) -> None:
    create_queue(server, "Gone")
    with connection(server, "/v1/packs/Gone/actions/take?wait=30"):
        wait_until(lambda: count_waits(server, "Gone"), server)
    post_event(server, "Gone")
    assert call(server, "/v1/packs/Gone/actions/take").status_code == 200


def test_a_client_that_closes_its_writing_end_is_answered_at_once(server: Server) -> None:
    register(server, "Half")
    with connection(server, "/v1/packs/Half/actions/take?wait=30") as opened:
        wait_until(lambda: count_waits(server, "Half"), server)
        opened.shutdown(socket.SHUT_WR)
        opened.settimeout(20)
        assert opened.recv(4096).startswith(b"HTTP/1.1 204 ")


@contextmanager
def connection(server: Server, path: str) -> Iterator[socket.socket]:
    """Open a connection, and send a POST to the path."""
    host, port = server.host.split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as opened:
        opened.sendall(f"POST {path} HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: 0\r\n\r\n".encode())
        yield opened


def test_a_poll_ends_with_204_when_its_time_is_up(server: Server) -> None:
    register(server, "Short")
    response = call(server, "/v1/packs/Short/actions/take?wait=1")
    assert (response.status_code, response.content, "Retry-After" in response.headers) == (204, b"", False)


def test_a_pack_of_the_client_library_gets_its_actions_without_polling_again(server: Server) -> None:
    create_queue(server, "Lib")
    done = threading.Event()
    # With an hour between polls, only a waiting poll gets the action in time.
    pack = Pack("Lib", api_url=server.url, poll_interval=3600.0)

    @pack.command("A")
    def handle(input_value: Any) -> Event:
        done.set()
        return Event("Done")

    runner = threading.Thread(target=pack.run)
    runner.start()
    try:
        wait_until(lambda: count_waits(server, "Lib"), server)
        post_event(server, "Lib")
        assert done.wait(PATIENCE)
        wait_until(lambda: count_waits(server, "Lib") >= 2, server)
    finally:
        pack.stop()
        # Less than the rest of the wait.
        runner.join(20)
    assert not runner.is_alive()
    assert call(server, "/v1/packs/Lib/actions/take").status_code == 204


def test_fifty_idle_packs_leave_threads_for_others_and_a_stop_answers_all(start_server: StartServer) -> None:
    server = start_server({"LOGLEVEL": "DEBUG", "FLYTE_WEB_THREADS": "8"})
    for number in range(IDLE_PACKS):
        register(server, f"Idle{number}")
    with ThreadPoolExecutor(IDLE_PACKS) as threads:
        futures = [
            threads.submit(call, server, f"/v1/packs/Idle{number}/actions/take?wait=30") for number in range(IDLE_PACKS)
        ]
        wait_until(lambda: sum(future.done() for future in futures) + waiting(server) >= IDLE_PACKS, server)
        assert MAX_WAITERS / 2 <= waiting(server) <= MAX_WAITERS
        rejected = [future.result() for future in futures if future.done()]
        assert {response.status_code for response in rejected} == {204}
        assert all(3 <= int(response.headers["Retry-After"]) <= 7 for response in rejected)
        for path in ["/health", "/v1/packs", "/v1/packs/Idle1"] * 5:
            assert call(server, path, method="GET").status_code == 200
        assert call(server, "/v1/packs/Idle1/events", {"event": "Go"}).status_code == 202
        assert sum(not future.done() for future in futures) == waiting(server), "a poll ended too early"
        server.stop()
        responses = [future.result() for future in as_completed(futures, PATIENCE)]
    assert {response.status_code for response in responses} == {204}
    assert all("Retry-After" in response.headers for response in responses)
    assert "level=error" not in server.logs()


def waiting(server: Server) -> int:
    return server.logs().count("event=poll_waits")


@pytest.mark.skipif(URL_VARIABLE not in os.environ, reason="only PostgreSQL limits connections")
def test_polls_that_wait_hold_no_connection_to_the_database(start_server: StartServer, polls: Polls) -> None:
    server = start_server({"LOGLEVEL": "DEBUG", "FLYTE_WEB_WORKERS": "1", "FLYTE_WEB_THREADS": "12"})
    register(server, "Wrk")
    futures = [polls(server, "Wrk") for _ in range(6)]
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(server.database_url) as connected:
        # One belongs to the hub; the thread that registered the pack may keep another.
        count = connected.execute(query).fetchone()
    assert count
    assert count[0] <= 2
    assert not any(future.done() for future in futures)
    server.stop()


def test_redis_wakes_polls_in_other_processes_and_can_be_interrupted(tmp_path: Path, polls: Polls) -> None:
    with (
        private_redis() as redis,
        running_server(tmp_path, {"LOGLEVEL": "DEBUG", "FLYTE_REDIS_URL": redis.url}) as server,
    ):
        create_queue(server, "Red")
        changes: list[Callable[[], None]] = [redis.start_again, redis.stop, redis.start_again]
        for change in changes:
            change()
            for _ in range(3):
                future = polls(server, "Red")
                post_event(server, "Red")
                assert future.result(PATIENCE).status_code == 200
        wait_until(lambda: "event=redis_back" in server.logs(), server)
        assert "event=redis_away" in server.logs()
        assert "level=error" not in server.logs()
