"""The hub of long polls: wake-ups, the limit of waiters, and the end of polls."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import OperationalError

from packs.models import Pack
from packs.queue import long_poll
from packs.queue.long_poll import LongPollHub, ReadyKeys, Waiter

pytestmark = pytest.mark.unit

# Generous: only a failing test ever waits this long.
PATIENCE = 30.0


class Board:
    """What a look finds; counts the looks."""

    def __init__(self) -> None:
        self.ready: ReadyKeys = []
        self.asked: list[set[str]] = []
        self.failures: list[Exception] = []
        self._looked = threading.Condition()

    def look(self, names: set[str]) -> ReadyKeys:
        with self._looked:
            self.asked.append(names)
            self._looked.notify_all()
            if self.failures:
                raise self.failures.pop()
            return [found for found in self.ready if found[0] in names]

    def wait_for_looks(self, more: int = 3) -> None:
        """Until there were so many more."""
        with self._looked:
            wanted = len(self.asked) + more
            assert self._looked.wait_for(lambda: len(self.asked) >= wanted, PATIENCE)


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def watcher(board: Board) -> Iterator[LongPollHub]:
    made = LongPollHub(board.look, max_waiters=10)
    yield made
    made.stop()


Waits = Callable[..., Future[bool]]


@pytest.fixture
def waits(watcher: LongPollHub) -> Iterator[Waits]:
    """Begins to wait in a thread of its own; the future has what `Place.wait` gave."""
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(10))

        def wait(pack: Pack, **options: Any) -> Future[bool]:
            place = stack.enter_context(watcher.register(pack, PATIENCE, **options))
            assert place
            return threads.submit(place.wait)

        yield wait
        watcher.stop()


def pack(name: str = "Wrk", **labels: str) -> Pack:
    return Pack(identity=name, name=name, labels=labels)


def test_a_poll_wakes_for_a_ready_action_of_its_name_and_labels(board: Board, waits: Waits) -> None:
    right = [waits(pack(env="prod", az="b")), waits(pack("Other"))]
    wrong = [waits(pack(env="dev")), waits(pack("wrk", env="prod")), waits(pack())]
    board.ready = [("Wrk", '{"env":"prod"}'), ("Other", "{}")]
    assert [future.result(PATIENCE) for future in right] == [True, True]
    board.wait_for_looks()
    assert not any(future.done() for future in wrong)


def test_one_query_serves_all_waiters_and_only_their_names(board: Board, waits: Waits) -> None:
    for name in ("A", "B", "B"):
        waits(pack(name))
    board.wait_for_looks()
    assert board.asked[-1] == {"A", "B"}
    assert all(board.asked)


def test_an_action_queued_in_this_process_wakes_only_polls_of_its_name(
    board: Board, watcher: LongPollHub, waits: Waits
) -> None:
    right, wrong = [waits(pack("A")), waits(pack("A", env="x"))], waits(pack("B"))
    watcher.wake(["A"])
    assert [future.result(PATIENCE) for future in right] == [True, True]
    board.wait_for_looks()
    assert not wrong.done()


def test_an_action_queued_between_take_and_wait_is_not_missed(watcher: LongPollHub) -> None:
    with watcher.register(pack(), 0) as place:
        assert place
        watcher.wake(["Wrk"])
        assert place.wait()
        assert not place.wait()


class Noting(threading.Condition):
    """Tells when somebody sleeps on it."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.asleep.set()
        return super().wait(timeout)


def test_a_poll_after_an_idle_time_is_served_at_once(
    board: Board, watcher: LongPollHub, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_poll, "IDLE_SECONDS", 3600.0)
    watcher._condition = idle = Noting()
    with watcher.register(pack(), 0):
        board.wait_for_looks(1)
    assert idle.asleep.wait(PATIENCE)
    board.ready = [("Wrk", "{}")]
    assert waits(pack()).result(PATIENCE)


def test_the_watcher_thread_ends_when_idle_and_starts_again(
    board: Board, watcher: LongPollHub, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_poll, "IDLE_SECONDS", 0.01)
    with watcher.register(pack(), 0):
        board.wait_for_looks(1)
        (thread,) = (one for one in threading.enumerate() if one is watcher._thread)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    board.ready = [("Wrk", "{}")]
    assert waits(pack()).result(PATIENCE)


def test_a_failed_query_does_not_end_polls(board: Board, waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "SLOW_POLL_SECONDS", 0.01)
    board.failures = [OperationalError("the database is away")] * 3
    board.ready = [("Wrk", "{}")]
    assert waits(pack()).result(PATIENCE)
    assert len(board.asked) >= 4


def test_a_filtered_poll_is_not_woken_repeatedly_by_actions_for_others() -> None:
    place = Waiter(pack(), 0, is_filtered=True, client_fd=None)
    woken = []
    for now in (0.0, 0.1, long_poll.FILTERED_WAKE_SECONDS - 0.1, long_poll.FILTERED_WAKE_SECONDS + 0.1):
        place.wake_if_ready([("Wrk", "{}")], now)
        woken.append(place.wait())
    assert woken == [True, False, False, True]


def test_the_number_of_waiters_is_bounded(board: Board) -> None:
    watcher = LongPollHub(board.look, max_waiters=2)
    with watcher.register(pack(), 0) as first, watcher.register(pack(), 0), watcher.register(pack(), 0) as third:
        assert (first is not None, third, watcher.waiter_count) == (True, None, 2)
    with watcher.register(pack(), 0) as later:
        assert later
    watcher.stop()


@pytest.mark.parametrize(
    ("threads", "most"), [(1, 0), (2, 0), (3, 1), (4, 2), (5, 2), (8, 4), (9, 4), (64, 32), (320, 288), (512, 480)]
)
def test_half_of_the_threads_but_2_to_32_are_left_for_other_requests(threads: int, most: int) -> None:
    assert long_poll.compute_max_waiters(threads) == most


def test_a_stop_ends_all_polls_and_admits_no_new_ones(watcher: LongPollHub, waits: Waits) -> None:
    futures = [waits(pack("A")), waits(pack("B"))]
    watcher.stop()
    assert [future.result(PATIENCE) for future in futures] == [False, False]
    with watcher.register(pack(), PATIENCE) as place:
        assert place is None


@pytest.mark.parametrize("half", [True, False], ids=["its writing end", "the connection"])
def test_a_disconnected_client_is_dropped_and_takes_nothing(waits: Waits, watcher: LongPollHub, half: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        future = waits(pack(), client_fd=ours.fileno())
        if half:
            theirs.shutdown(socket.SHUT_WR)
        else:
            theirs.close()
        assert future.result(PATIENCE) is False


def test_a_disconnected_client_is_detected_before_a_take_without_a_query() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"more")
        place = Waiter(pack(), 0, is_filtered=False, client_fd=ours.fileno())
        place.wake()
        assert place.wait()
        theirs.close()
        place.wake()
        assert not place.wait()
