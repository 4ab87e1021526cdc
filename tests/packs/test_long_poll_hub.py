"""The hub of long polls: wake-ups, the limit of waiters, and the end of polls."""

import json
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
from packs.queue.long_poll import LongPollHub, QueuedAction, ReadyKeys, Waiter

pytestmark = pytest.mark.unit

# Generous, because only a failing test waits this long.
PATIENCE = 30.0


class RecordingQuery:
    """A query for ready actions with a fixed result, which records its calls."""

    def __init__(self) -> None:
        self.ready: ReadyKeys = []
        self.calls: list[set[str]] = []
        self.failures: list[Exception] = []
        self._called = threading.Condition()

    def find_ready(self, names: set[str]) -> ReadyKeys:
        with self._called:
            self.calls.append(names)
            self._called.notify_all()
            if self.failures:
                raise self.failures.pop()
            return [key for key in self.ready if key[0] in names]

    def wait_for_calls(self, more: int = 3) -> None:
        """Wait until the query was called `more` times."""
        with self._called:
            count = len(self.calls) + more
            assert self._called.wait_for(lambda: len(self.calls) >= count, PATIENCE)


@pytest.fixture
def query() -> RecordingQuery:
    return RecordingQuery()


@pytest.fixture
def hub(query: RecordingQuery) -> Iterator[LongPollHub]:
    started = LongPollHub(query.find_ready, max_waiters=10)
    yield started
    started.stop()


Polls = Callable[..., Future[bool]]


@pytest.fixture
def polls(hub: LongPollHub) -> Iterator[Polls]:
    """Return a function that starts to wait in a separate thread; its future has the result of `Waiter.wait`."""
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(10))

        def wait(pack: Pack, **options: Any) -> Future[bool]:
            waiter = stack.enter_context(hub.register(pack, PATIENCE, **options))
            assert waiter
            return threads.submit(waiter.wait)

        yield wait
        hub.stop()


def pack(name: str = "Wrk", **labels: str) -> Pack:
    return Pack(identity=name, name=name, labels=labels)


def test_a_poll_wakes_for_a_ready_action_of_its_name_and_labels(query: RecordingQuery, polls: Polls) -> None:
    right = [polls(pack(env="prod", az="b")), polls(pack("Other"))]
    wrong = [polls(pack(env="dev")), polls(pack("wrk", env="prod")), polls(pack())]
    query.ready = [("Wrk", '{"env":"prod"}'), ("Other", "{}")]
    assert [future.result(PATIENCE) for future in right] == [True, True]
    query.wait_for_calls()
    assert not any(future.done() for future in wrong)


def test_one_query_serves_all_waiters_and_only_their_names(query: RecordingQuery, polls: Polls) -> None:
    for name in ("A", "B", "B"):
        polls(pack(name))
    query.wait_for_calls()
    assert query.calls[-1] == {"A", "B"}
    assert all(query.calls)


def queued(name: str = "Wrk", labels_key: str = "{}", command: str = "Do", action_id: str = "1") -> QueuedAction:
    return QueuedAction(name, labels_key, command, action_id, f"notification {action_id}")


def test_an_action_queued_in_this_process_wakes_one_poll_that_can_take_it(
    query: RecordingQuery, hub: LongPollHub, polls: Polls
) -> None:
    wrong = [polls(pack("B")), polls(pack("A", env="dev")), polls(pack("A", env="x"), command_names={"Other"})]
    right = [polls(pack("A", env="x")) for _ in range(3)]
    hub.wake([queued("A", '{"env":"x"}')])
    assert right[0].result(PATIENCE)
    query.wait_for_calls()
    assert not any(future.done() for future in [*wrong, *right[1:]])


def test_as_many_polls_are_woken_as_actions_are_queued(query: RecordingQuery, hub: LongPollHub, polls: Polls) -> None:
    futures = [polls(pack()) for _ in range(5)]
    hub.wake([queued(action_id=str(number)) for number in range(3)])
    assert [future.result(PATIENCE) for future in futures[:3]] == [True] * 3
    query.wait_for_calls()
    assert not any(future.done() for future in futures[3:])


def test_a_notification_that_arrives_twice_wakes_one_poll(
    query: RecordingQuery, hub: LongPollHub, polls: Polls
) -> None:
    futures = [polls(pack()) for _ in range(2)]
    for _ in range(2):
        hub.wake([queued()])
        hub.receive(json.dumps(queued()))
    hub.receive("no JSON")
    hub.receive('["too", "few"]')
    assert futures[0].result(PATIENCE)
    query.wait_for_calls()
    assert not futures[1].done()


def test_polls_for_a_command_are_woken_by_its_actions(query: RecordingQuery, hub: LongPollHub, polls: Polls) -> None:
    future = polls(pack(), command_names={"Do"})
    hub.wake([queued(command="Other", action_id="1")])
    query.wait_for_calls()
    assert not future.done()
    hub.wake([queued(command="Do", action_id="2")])
    assert future.result(PATIENCE)


@pytest.mark.parametrize(
    ("taken_id", "is_passed_on"), [(None, True), ("another", True), ("1", False)], ids=["none", "another", "its own"]
)
def test_a_poll_that_ends_without_its_action_wakes_the_next(
    hub: LongPollHub, taken_id: str | None, is_passed_on: bool
) -> None:
    with hub.register(pack(), 0) as next_waiter:
        with hub.register(pack(), 0) as other:
            assert next_waiter
            assert other
            next_waiter.wake()
            hub.wake([queued()])
            assert other.is_woken
            assert next_waiter.wait()
            if taken_id:
                assert other.wait()
                other.record_taken(taken_id)
        assert next_waiter.is_woken is is_passed_on


def test_a_poll_that_was_woken_and_found_nothing_wakes_no_other(hub: LongPollHub) -> None:
    with hub.register(pack(), 0) as first:
        assert first
        hub.wake([queued()])
        assert first.wait()
        with hub.register(pack(), 0) as second:
            assert second
            assert not first.wait()
    assert not second.is_woken


def test_a_disconnected_poll_passes_its_wake_up_on(hub: LongPollHub) -> None:
    server_end, client_end = socket.socketpair()
    with server_end, client_end, ExitStack() as stack:
        gone = stack.enter_context(hub.register(pack(), 0, client_fd=server_end.fileno()))
        with hub.register(pack(), 0) as waiting:
            assert gone
            assert waiting
            client_end.close()
            hub.wake([queued()])
            assert not gone.wait()
            stack.close()
            assert waiting.wait()


def test_a_query_that_finds_actions_wakes_polls_until_one_finds_nothing(
    query: RecordingQuery, hub: LongPollHub, polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_poll, "TICK_SECONDS", 0.2)
    with hub.register(pack(), 0) as second, hub.register(pack(), 0) as third:
        assert second
        assert third
        second.wake()
        third.wake()
        query.ready = [("Wrk", "{}")]
        with hub.register(pack(), PATIENCE) as first:
            assert first
            assert first.wait()
            query.ready = []
            query.wait_for_calls(2)
            assert second.wait()
            assert third.wait()
            first.record_taken("1")
        assert second.is_woken
        assert not third.is_woken


def test_an_action_queued_between_take_and_wait_is_not_missed(hub: LongPollHub) -> None:
    with hub.register(pack(), 0) as waiter:
        assert waiter
        hub.wake([queued()])
        assert waiter.wait()
        assert not waiter.wait()


class RecordingCondition(threading.Condition):
    """A condition that records when a thread waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_waiting = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.is_waiting.set()
        return super().wait(timeout)


def test_a_poll_after_an_idle_time_is_served_at_once(
    query: RecordingQuery, hub: LongPollHub, polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_poll, "IDLE_SECONDS", 3600.0)
    hub._condition = idle = RecordingCondition()
    with hub.register(pack(), 0):
        query.wait_for_calls(1)
    assert idle.is_waiting.wait(PATIENCE)
    query.ready = [("Wrk", "{}")]
    assert polls(pack()).result(PATIENCE)


def test_the_thread_ends_when_idle_and_starts_again(
    query: RecordingQuery, hub: LongPollHub, polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_poll, "IDLE_SECONDS", 0.01)
    with hub.register(pack(), 0):
        query.wait_for_calls(1)
        (thread,) = (candidate for candidate in threading.enumerate() if candidate is hub._thread)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    query.ready = [("Wrk", "{}")]
    assert polls(pack()).result(PATIENCE)


def test_a_failed_query_does_not_end_polls(
    query: RecordingQuery, polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_poll, "SLOW_POLL_SECONDS", 0.01)
    query.failures = [OperationalError("the database is away")] * 3
    query.ready = [("Wrk", "{}")]
    assert polls(pack()).result(PATIENCE)
    assert len(query.calls) >= 4


def test_a_filtered_poll_is_not_woken_repeatedly_by_actions_for_others() -> None:
    waiter = Waiter(pack(), 0, command_names={"Do"})
    woken = []
    for now in (0.0, 0.1, long_poll.FILTERED_WAKE_SECONDS - 0.1, long_poll.FILTERED_WAKE_SECONDS + 0.1):
        waiter.wake_if_ready([("Wrk", "{}")], now)
        woken.append(waiter.wait())
    assert woken == [True, False, False, True]


def test_the_number_of_waiters_is_bounded(query: RecordingQuery) -> None:
    hub = LongPollHub(query.find_ready, max_waiters=2)
    with hub.register(pack(), 0) as first, hub.register(pack(), 0), hub.register(pack(), 0) as third:
        assert (first is not None, third, hub.waiter_count) == (True, None, 2)
    with hub.register(pack(), 0) as later:
        assert later
    hub.stop()


@pytest.mark.parametrize(
    ("threads", "max_waiters"),
    [(1, 0), (2, 0), (3, 1), (4, 2), (5, 2), (8, 4), (9, 4), (64, 32), (320, 288), (512, 480)],
)
def test_half_of_the_threads_but_2_to_32_are_left_for_other_requests(threads: int, max_waiters: int) -> None:
    assert long_poll.compute_max_waiters(threads) == max_waiters


def test_a_stop_ends_all_polls_and_admits_no_new_ones(hub: LongPollHub, polls: Polls) -> None:
    futures = [polls(pack("A")), polls(pack("B"))]
    hub.stop()
    assert [future.result(PATIENCE) for future in futures] == [False, False]
    with hub.register(pack(), PATIENCE) as waiter:
        assert waiter is None


@pytest.mark.parametrize("half_closed", [True, False], ids=["its writing end", "the connection"])
def test_a_disconnected_client_is_dropped_and_takes_nothing(polls: Polls, hub: LongPollHub, half_closed: bool) -> None:
    server_end, client_end = socket.socketpair()
    with server_end, client_end:
        future = polls(pack(), client_fd=server_end.fileno())
        if half_closed:
            client_end.shutdown(socket.SHUT_WR)
        else:
            client_end.close()
        assert future.result(PATIENCE) is False


def test_a_disconnected_client_is_detected_before_a_take_without_a_query() -> None:
    server_end, client_end = socket.socketpair()
    with server_end, client_end:
        client_end.sendall(b"more")
        waiter = Waiter(pack(), 0, client_fd=server_end.fileno())
        waiter.wake()
        assert waiter.wait()
        client_end.close()
        waiter.wake()
        assert not waiter.wait()
