"""Polls that wait at a real server while Redis stops and starts, or a web process is killed."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest
import redis

from packs.queue.pubsub import CHANNEL
from tests.packs.polling import PATIENCE, PLACES, Polls, call, tell, until, waits, world
from tests.private_redis import PrivateRedis, private_redis
from tests.server import Server, StartServer, running_server

pytestmark = pytest.mark.acceptance

PROCESSES = 2
# A poll that comes to a process without a free place is turned away, and the next may come to the other.
ATTEMPTS = 200


@pytest.fixture
def broker() -> Iterator[PrivateRedis]:
    with private_redis() as started:
        yield started


def fill(server: Server, polls: Polls, pack: str) -> list[Future[httpx.Response]]:
    """Polls of the pack on every place of every process."""
    waiting: list[Future[httpx.Response]] = []
    for _ in range(ATTEMPTS):
        future = polls(server, pack)
        if future.done():
            assert "Retry-After" in future.result().headers
        else:
            waiting.append(future)
        if len(waiting) == PLACES:
            return waiting
    raise AssertionError(f"{len(waiting)} polls wait, not {PLACES}")


def still_waiting(futures: list[Future[httpx.Response]]) -> list[Future[httpx.Response]]:
    return [future for future in futures if not future.done()]


def serve_all(server: Server, pack: str, waiting: list[Future[httpx.Response]]) -> None:
    """Each of these polls gets an action."""
    for _ in waiting:
        tell(server, pack)
    assert [future.result(PATIENCE).status_code for future in waiting] == [200] * len(waiting)


def test_redis_can_stop_and_start_while_polls_wait(tmp_path: Path, polls: Polls, broker: PrivateRedis) -> None:
    with running_server(
        tmp_path, {"LOGLEVEL": "DEBUG", "FLYTE_WEB_THREADS": "8", "FLYTE_REDIS_URL": broker.url}
    ) as server:
        world(server, "Red")
        waiting = fill(server, polls, "Red")
        until(lambda: processes_that_hear(broker) == PROCESSES, server)
        broker.stop()
        world(server, "Other")
        for path in ("/v1/packs", "/v1/audit/flows", "/health"):
            assert call(server, path, method="GET").status_code == 200
        assert len(still_waiting(waiting)) == PLACES
        serve_all(server, "Red", waiting)
        broker.start_again()
        until(lambda: processes_that_hear(broker) == PROCESSES, server)
        until(lambda: all_that_was_untold_is_told(server), server)
        assert_a_word_wakes_all(server, polls, broker)
        assert server.logs().count("event=redis_away task=subscribe") == PROCESSES
        assert "level=error" not in server.logs()


def processes_that_hear(broker: PrivateRedis) -> int:
    with redis.Redis.from_url(broker.url) as client:
        return int(client.pubsub_numsub(CHANNEL)[0][1])


def all_that_was_untold_is_told(server: Server) -> bool:
    """Give the processes something to tell, and see whether each that could not tell before has done so since.

    Its late word would wake polls, too.
    """
    tell(server, "Other")
    logs = server.logs()
    return logs.count("event=redis_back task=publish") == logs.count("event=redis_away task=publish")


def assert_a_word_wakes_all(server: Server, polls: Polls, broker: PrivateRedis) -> None:
    """What Redis tells wakes the polls of every process: each looks, finds nothing, and waits again."""
    waiting = fill(server, polls, "Red")
    before = waits(server, "Red")
    with redis.Redis.from_url(broker.url) as client:
        assert client.publish(CHANNEL, "Red") == PROCESSES
    until(lambda: waits(server, "Red") == before + PLACES, server)
    serve_all(server, "Red", waiting)


def test_a_killed_web_process_ends_only_its_polls(start_server: StartServer, polls: Polls) -> None:
    server = start_server({"LOGLEVEL": "DEBUG", "FLYTE_WEB_THREADS": "8"})
    world(server, "Shot")
    waiting = fill(server, polls, "Shot")
    killed, _ = workers(server)
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(still_waiting(waiting)) == PLACES / PROCESSES, server)
    assert all(isinstance(future.exception(), httpx.TransportError) for future in waiting if future.done())
    serve_all(server, "Shot", still_waiting(waiting))
    assert call(server, "/v1/packs/Shot/actions/take").status_code == 204
    until(lambda: len(workers(server)) == PROCESSES and killed not in workers(server), server)
    serve_all(server, "Shot", fill(server, polls, "Shot"))


def workers(server: Server) -> list[int]:
    """The web processes that are alive."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(pid) for pid in children]
