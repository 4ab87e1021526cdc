"""Polls that wait at a real server while Redis stops and starts, or a web process is killed."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest
import redis

from flyte_site.core.ids import new_id
from packs.queue.long_poll import QueuedAction
from packs.queue.pubsub import CHANNEL
from tests.packs.polling import MAX_WAITERS, PATIENCE, Polls, call, count_waits, create_queue, post_event, wait_until
from tests.private_redis import PrivateRedis, private_redis
from tests.server import Server, StartServer, running_server

pytestmark = pytest.mark.acceptance

PROCESSES = 2
# A process at its limit of waiters rejects a poll; the next poll may reach the other process.
ATTEMPTS = 200


@pytest.fixture
def broker() -> Iterator[PrivateRedis]:
    with private_redis() as started:
        yield started


def fill(server: Server, polls: Polls, pack: str) -> list[Future[httpx.Response]]:
    """Start polls of the pack until every process is at its limit of waiters."""
    waiting: list[Future[httpx.Response]] = []
    for _ in range(ATTEMPTS):
        future = polls(server, pack)
        if future.done():
            assert "Retry-After" in future.result().headers
        else:
            waiting.append(future)
        if len(waiting) == MAX_WAITERS:
            return waiting
    raise AssertionError(f"{len(waiting)} polls wait, not {MAX_WAITERS}")


def still_waiting(futures: list[Future[httpx.Response]]) -> list[Future[httpx.Response]]:
    return [future for future in futures if not future.done()]


def serve_all(server: Server, pack: str, waiting: list[Future[httpx.Response]]) -> None:
    """Queue an action for each of these polls, and check that each gets one."""
    for _ in waiting:
        post_event(server, pack)
    assert [future.result(PATIENCE).status_code for future in waiting] == [200] * len(waiting)


def test_redis_can_stop_and_start_while_polls_wait(tmp_path: Path, polls: Polls, broker: PrivateRedis) -> None:
    with running_server(
        tmp_path, {"LOGLEVEL": "DEBUG", "FLYTE_WEB_THREADS": "8", "FLYTE_REDIS_URL": broker.url}
    ) as server:
        create_queue(server, "Red")
        waiting = fill(server, polls, "Red")
        wait_until(lambda: count_subscribers(broker) == PROCESSES, server)
        broker.stop()
        create_queue(server, "Other")
        for path in ("/v1/packs", "/v1/audit/flows", "/health"):
            assert call(server, path, method="GET").status_code == 200
        assert len(still_waiting(waiting)) == MAX_WAITERS
        serve_all(server, "Red", waiting)
        broker.start_again()
        wait_until(lambda: count_subscribers(broker) == PROCESSES, server)
        wait_until(lambda: all_processes_can_publish(server), server)
        check_message_wakes_one_poll_of_each_process(server, polls, broker)
        assert server.logs().count("event=redis_away task=subscribe") == PROCESSES
        assert "level=error" not in server.logs()


def count_subscribers(broker: PrivateRedis) -> int:
    with redis.Redis.from_url(broker.url) as client:
        return int(client.pubsub_numsub(CHANNEL)[0][1])


def all_processes_can_publish(server: Server) -> bool:
    """Post an event, and return True if every process that failed to publish has succeeded since.

    A late message would wake polls, too.
    """
    post_event(server, "Other")
    logs = server.logs()
    return logs.count("event=redis_back task=publish") == logs.count("event=redis_away task=publish")


def check_message_wakes_one_poll_of_each_process(server: Server, polls: Polls, broker: PrivateRedis) -> None:
    """Check that a message of Redis wakes one poll in each process: it queries, finds nothing, and waits again."""
    waiting = fill(server, polls, "Red")
    before = count_waits(server, "Red")
    with redis.Redis.from_url(broker.url) as client:
        message = json.dumps(QueuedAction("Red", "{}", "A", "gone", new_id()))
        assert client.publish(CHANNEL, message) == PROCESSES
    wait_until(lambda: count_waits(server, "Red") == before + PROCESSES, server)
    serve_all(server, "Red", waiting)


def test_a_killed_web_process_ends_only_its_polls(start_server: StartServer, polls: Polls) -> None:
    server = start_server({"LOGLEVEL": "DEBUG", "FLYTE_WEB_THREADS": "8"})
    create_queue(server, "Shot")
    waiting = fill(server, polls, "Shot")
    killed, _ = workers(server)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(still_waiting(waiting)) == MAX_WAITERS / PROCESSES, server)
    assert all(isinstance(future.exception(), httpx.TransportError) for future in waiting if future.done())
    serve_all(server, "Shot", still_waiting(waiting))
    assert call(server, "/v1/packs/Shot/actions/take").status_code == 204
    wait_until(lambda: len(workers(server)) == PROCESSES and killed not in workers(server), server)
    serve_all(server, "Shot", fill(server, polls, "Shot"))


def workers(server: Server) -> list[int]:
    """Return the ids of the running web processes."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(pid) for pid in children]
