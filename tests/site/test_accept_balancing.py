"""Connections spread over the web processes: the rule, and the real server."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from flyte_site.server.accept_balancing import MAX_CONSECUTIVE_YIELDS, ConnectionCounts
from tests.server import Server, StartServer

SECONDS = 60.0
WORKERS = 2


@pytest.mark.unit
def test_a_connection_is_left_to_a_process_that_has_fewer() -> None:
    crowds = ConnectionCounts()
    one, other = crowds.register_worker(), crowds.register_worker()
    one.set_count(3)
    other.set_count(2)
    assert one.should_yield()
    assert not other.should_yield()
    other.set_count(3)
    assert not one.should_yield()


@pytest.mark.unit
def test_a_process_alone_takes_all() -> None:
    crowds = ConnectionCounts()
    one, other = crowds.register_worker(), crowds.register_worker()
    one.set_count(3)
    assert not one.should_yield()  # the other has not begun
    other.set_count(0)
    assert one.should_yield()
    other.stop_accepting()
    assert not one.should_yield()


@pytest.mark.unit
def test_what_the_others_do_not_take_is_taken_in_the_end() -> None:
    crowds = ConnectionCounts()
    one, other = crowds.register_worker(), crowds.register_worker()
    one.set_count(3)
    other.set_count(0)
    assert [one.should_yield() for _ in range(2 * MAX_CONSECUTIVE_YIELDS + 2)] == (
        [True] * MAX_CONSECUTIVE_YIELDS + [False]
    ) * 2


@pytest.mark.unit
def test_one_is_patient_as_long_as_another_takes_some() -> None:
    crowds = ConnectionCounts()
    one, other = crowds.register_worker(), crowds.register_worker()
    one.set_count(3 * MAX_CONSECUTIVE_YIELDS)
    for number in range(2 * MAX_CONSECUTIVE_YIELDS):
        other.set_count(number)
        assert one.should_yield()


@pytest.mark.unit
def test_nothing_is_left_to_a_process_that_has_ended_and_its_place_is_used_again() -> None:
    crowds = ConnectionCounts()
    one, other = crowds.register_worker(), crowds.register_worker()
    one.set_count(3)
    other.set_count(0)
    crowds.release_worker(other)
    assert not one.should_yield()
    assert crowds.register_worker().index == other.index


@pytest.fixture
def server(start_server: StartServer) -> Server:
    found = start_server({"FLYTE_WEB_WORKERS": str(WORKERS)})
    deadline = time.monotonic() + SECONDS
    with ExitStack() as stack:
        while min(held(found).values(), default=0) == 0 or len(held(found)) < WORKERS:
            assert time.monotonic() < deadline, "not every process takes connections"
            stack.enter_context(caller(found))
    return found


def caller(server: Server) -> socket.socket:
    """A connection that was answered, and is kept."""
    host, _, port = server.host.rpartition(":")
    connection = socket.create_connection((host, int(port)), SECONDS)
    connection.sendall(f"GET /health HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    return connection


def held(server: Server) -> dict[int, int]:
    """By the ids of the web processes, how many callers' connections each has open, as the system tells it."""
    inodes = set(established(int(server.host.rpartition(":")[2])))
    return {pid: len(inodes.intersection(sockets(pid))) for pid in children(server.process.pid)}


def established(port: int) -> Iterator[str]:
    """The inodes of the connections that this port of the machine has accepted."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == "01" and int(local.rpartition(":")[2], 16) == port:
            yield inode


def sockets(pid: int) -> set[str]:
    """The inodes of a process's sockets; none where it has just ended."""
    found = set()
    with suppress(FileNotFoundError, PermissionError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found.update(re.findall(r"socket:\[(\d+)\]", os.readlink(path)))
    return found


def children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def differences(server: Server, stack: ExitStack, callers: int) -> list[int]:
    """How far the processes are apart after each of so many callers, who come one after another."""
    found = []
    for _ in range(callers):
        stack.enter_context(caller(server))
        numbers = held(server).values()
        found.append(max(numbers) - min(numbers))
    return found


@pytest.mark.acceptance
def test_connections_that_are_kept_spread_over_the_processes(server: Server) -> None:
    with ExitStack() as stack:
        apart = differences(server, stack, 40)
    # A process that the machine lets wait may miss one; whoever comes next makes up for it.
    assert sum(difference <= 1 for difference in apart) >= 30, apart


@pytest.mark.acceptance
def test_a_process_that_hangs_leaves_no_caller_waiting(server: Server) -> None:
    hung = next(iter(held(server)))
    os.kill(hung, signal.SIGSTOP)
    try:
        with ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(caller(server))
    finally:
        os.kill(hung, signal.SIGCONT)


@pytest.mark.acceptance
def test_the_process_that_stands_in_for_a_killed_one_gets_what_comes_until_both_have_as_many(server: Server) -> None:
    with ExitStack() as stack:
        differences(server, stack, 10)
        killed = next(iter(held(server)))
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + SECONDS
        while killed in (now := held(server)) or len(now) < WORKERS or len(set(now.values())) > 1:
            assert time.monotonic() < deadline, f"connections stay apart: {now}"
            stack.enter_context(caller(server))
            time.sleep(0.02)
