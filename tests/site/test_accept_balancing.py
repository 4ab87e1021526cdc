"""Balancing of connections between web processes: the rule, and a real server."""

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
def test_a_process_yields_to_one_with_fewer_connections() -> None:
    counts = ConnectionCounts()
    first, second = counts.register_worker(), counts.register_worker()
    first.set_count(3)
    second.set_count(2)
    assert first.should_yield()
    assert not second.should_yield()
    second.set_count(3)
    assert not first.should_yield()


@pytest.mark.unit
def test_the_only_accepting_process_takes_every_connection() -> None:
    counts = ConnectionCounts()
    first, second = counts.register_worker(), counts.register_worker()
    first.set_count(3)
    assert not first.should_yield()  # the other has not started yet
    second.set_count(0)
    assert first.should_yield()
    second.stop_accepting()
    assert not first.should_yield()


@pytest.mark.unit
def test_the_number_of_consecutive_yields_is_bounded() -> None:
    counts = ConnectionCounts()
    first, second = counts.register_worker(), counts.register_worker()
    first.set_count(3)
    second.set_count(0)
    assert [first.should_yield() for _ in range(2 * MAX_CONSECUTIVE_YIELDS + 2)] == (
        [True] * MAX_CONSECUTIVE_YIELDS + [False]
    ) * 2


@pytest.mark.unit
def test_a_process_yields_as_long_as_another_accepts_connections() -> None:
    counts = ConnectionCounts()
    first, second = counts.register_worker(), counts.register_worker()
    first.set_count(3 * MAX_CONSECUTIVE_YIELDS)
    for number in range(2 * MAX_CONSECUTIVE_YIELDS):
        second.set_count(number)
        assert first.should_yield()


@pytest.mark.unit
def test_an_ended_process_is_ignored_and_its_index_is_reused() -> None:
    counts = ConnectionCounts()
    first, second = counts.register_worker(), counts.register_worker()
    first.set_count(3)
    second.set_count(0)
    counts.release_worker(second)
    assert not first.should_yield()
    assert counts.register_worker().index == second.index


@pytest.fixture
def server(start_server: StartServer) -> Server:
    started = start_server({"FLYTE_WEB_WORKERS": str(WORKERS)})
    deadline = time.monotonic() + SECONDS
    with ExitStack() as stack:
        while min(count_connections(started).values(), default=0) == 0 or len(count_connections(started)) < WORKERS:
            assert time.monotonic() < deadline, "not every process takes connections"
            stack.enter_context(open_connection(started))
    return started


def open_connection(server: Server) -> socket.socket:
    """Open a connection, send a request, and return the connection, still open, after the response."""
    host, _, port = server.host.rpartition(":")
    connection = socket.create_connection((host, int(port)), SECONDS)
    connection.sendall(f"GET /health HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    return connection


def count_connections(server: Server) -> dict[int, int]:
    """Return the number of open connections by process id of the web processes, as the operating system reports it."""
    inodes = set(established_inodes(int(server.host.rpartition(":")[2])))
    return {pid: len(inodes.intersection(socket_inodes(pid))) for pid in children(server.process.pid)}


def established_inodes(port: int) -> Iterator[str]:
    """Yield the inodes of the established connections of a local port."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == "01" and int(local.rpartition(":")[2], 16) == port:
            yield inode


def socket_inodes(pid: int) -> set[str]:
    """Return the inodes of a process's sockets, or an empty set if the process has ended."""
    inodes = set()
    with suppress(FileNotFoundError, PermissionError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed in the meantime
                inodes.update(re.findall(r"socket:\[(\d+)\]", os.readlink(path)))
    return inodes


def children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def measure_spreads(server: Server, stack: ExitStack, callers: int) -> list[int]:
    """Open `callers` connections, one after another; return the spread of the counts after each of them."""
    spreads = []
    for _ in range(callers):
        stack.enter_context(open_connection(server))
        counts = count_connections(server).values()
        spreads.append(max(counts) - min(counts))
    return spreads


@pytest.mark.acceptance
def test_open_connections_spread_over_the_processes(server: Server) -> None:
    with ExitStack() as stack:
        spreads = measure_spreads(server, stack, 40)
    # A process that the scheduler delays may miss a connection; the next connections correct that.
    assert sum(spread <= 1 for spread in spreads) >= 30, spreads


@pytest.mark.acceptance
def test_a_process_that_hangs_leaves_no_caller_waiting(server: Server) -> None:
    hung = next(iter(count_connections(server)))
    os.kill(hung, signal.SIGSTOP)
    try:
        with ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(open_connection(server))
    finally:
        os.kill(hung, signal.SIGCONT)


@pytest.mark.acceptance
def test_the_replacement_of_a_killed_process_gets_connections_until_the_counts_are_equal(server: Server) -> None:
    with ExitStack() as stack:
        measure_spreads(server, stack, 10)
        killed = next(iter(count_connections(server)))
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + SECONDS
        while killed in (now := count_connections(server)) or len(now) < WORKERS or len(set(now.values())) > 1:
            assert time.monotonic() < deadline, f"connections stay apart: {now}"
            stack.enter_context(open_connection(server))
            time.sleep(0.02)
