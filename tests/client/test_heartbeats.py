"""Heartbeats: start, end, and cancellation of handlers."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from flyte_client import CurrentAction, Event, Pack, current_action
from flyte_client.transport import heartbeats
from flyte_client.transport.heartbeats import HeartbeatSender, LeaseHeartbeat
from flyte_client.transport.server import Lease

from .conftest import Running
from .stub_server import PATIENCE, StubResponse, StubServer

pytestmark = pytest.mark.integration

AT_ONCE = {"Retry-After": "0"}
FindThreads = Callable[[], list[threading.Thread]]


@pytest.fixture(autouse=True)
def _leases(stub: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.lease = "600"
    monkeypatch.setattr(heartbeats, "MAX_INTERVAL", 0.02)


@dataclass
class WaitingPack:
    """A pack whose handlers wait until they are released; `actions` has them by their input."""

    pack: Pack
    actions: dict[Any, CurrentAction] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def waiting_pack(stub: StubServer) -> Iterator[WaitingPack]:
    waiting_pack = WaitingPack(Pack("Slow", api_url=stub.url, poll_interval=0.02))

    @waiting_pack.pack.command("Work", events=["Worked"])
    def work(action_input: Any) -> Event:
        waiting_pack.actions[action_input] = current_action()
        waiting_pack.released.wait(PATIENCE)
        return Event("Worked", action_input)

    yield waiting_pack
    waiting_pack.released.set()


@pytest.fixture
def heartbeat_threads() -> FindThreads:
    """Return a function that finds the running threads of heartbeats, but not those of earlier tests."""
    before = {*threading.enumerate()}
    return lambda: [thread for thread in threading.enumerate() if thread.name == "heartbeats" and thread not in before]


def beats(stub: StubServer, action: str = "a1") -> int:
    return sum(call.path == f"/p/Slow/work/{action}/pulse" for call in stub.of("heartbeat"))


def wait_for_more(stub: StubServer, count: int = 3) -> None:
    """Wait for this many more heartbeats of any action."""
    stub.wait_for("heartbeat", len(stub.of("heartbeat")) + count)


def test_a_running_action_sends_heartbeats_to_the_address_of_its_take(
    stub: StubServer, running: Running, waiting_pack: WaitingPack
) -> None:
    stub.queue("Work", 1)
    with running(waiting_pack.pack):
        calls = stub.wait_for("heartbeat", 3)
        waiting_pack.released.set()
        stub.wait_for("result")
    assert {(call.path, call.query) for call in calls} == {("/p/Slow/work/a1/pulse", "attempt=1")}
    assert stub.of("unknown") == []


def test_heartbeats_stop_with_their_action(
    stub: StubServer, running: Running, waiting_pack: WaitingPack, heartbeat_threads: FindThreads
) -> None:
    stub.queue("Work", 1)
    with running(waiting_pack.pack):
        stub.wait_for("heartbeat")
        waiting_pack.released.set()
        stub.wait_for("result", 1)
        waiting_pack.released.clear()
        stub.queue("Work", 2, action="a2")
        stub.wait_for("take", len(stub.of("take")) + 1)
        wait_for_more(stub)
        before = beats(stub)
        wait_for_more(stub, 5)
        assert beats(stub) == before
        waiting_pack.released.set()
    for thread in heartbeat_threads():
        thread.join(PATIENCE)
    assert heartbeat_threads() == []


def test_one_thread_sends_the_heartbeats_of_all_actions(
    stub: StubServer, running: Running, waiting_pack: WaitingPack, heartbeat_threads: FindThreads
) -> None:
    for number in range(4):
        stub.queue("Work", number, action=f"a{number}")
    with running(waiting_pack.pack):
        while not all(beats(stub, f"a{number}") >= 3 for number in range(4)):
            wait_for_more(stub, 1)
        assert len(heartbeat_threads()) == 1
        waiting_pack.released.set()


@pytest.mark.parametrize("lease", ["", "0", "-5", "soon", "1.5", "²"])
def test_without_a_lease_there_is_no_heartbeat_and_no_thread(
    stub: StubServer, running: Running, waiting_pack: WaitingPack, heartbeat_threads: FindThreads, lease: str
) -> None:
    stub.lease = lease
    stub.queue("Work", 1)
    with running(waiting_pack.pack):
        stub.wait_for("take", 3)
        assert list(waiting_pack.actions) == [1]
        assert heartbeat_threads() == []
        waiting_pack.released.set()
    assert stub.of("heartbeat") == []


def test_errors_of_the_server_cancel_no_handler(stub: StubServer, running: Running, waiting_pack: WaitingPack) -> None:
    stub.script(
        "heartbeat",
        StubResponse(503, headers=AT_ONCE),
        StubResponse(500),
        StubResponse(429),
        StubResponse(401),
        StubResponse(400),
    )
    stub.queue("Work", 1)
    with running(waiting_pack.pack):
        stub.wait_for("heartbeat", 7)
        stub.stop()
        stub.start()
        wait_for_more(stub)
        assert not waiting_pack.actions[1].cancelled.is_set()
        waiting_pack.released.set()
        stub.wait_for("result", event="Worked")


def test_a_conflict_cancels_only_that_action(stub: StubServer, running: Running, waiting_pack: WaitingPack) -> None:
    stub.queue("Work", 1, action="a1")
    stub.queue("Work", 2, action="a2")
    with running(waiting_pack.pack):
        while not (beats(stub, "a1") and beats(stub, "a2")):
            wait_for_more(stub, 1)
        stub.cancelled.add("a1")
        assert waiting_pack.actions[1].cancelled.wait(PATIENCE)
        before = beats(stub)
        wait_for_more(stub)
        assert beats(stub) == before
        assert not waiting_pack.actions[2].cancelled.is_set()
        waiting_pack.released.set()


def test_a_cancelled_handler_can_end_early_and_its_result_is_posted(stub: StubServer, running: Running) -> None:
    pack = Pack("Slow", api_url=stub.url, poll_interval=0.02)

    @pack.command("Work", events=["Worked"])
    def work(action_input: Any) -> Event:
        is_cancelled = current_action().cancelled.wait(PATIENCE)
        return Event("Worked", {"heard": is_cancelled})

    stub.script("heartbeat", StubResponse(204), StubResponse(409))
    stub.script("result", StubResponse(409, {"title": "Conflict"}))
    stub.queue("Work")
    with running(pack):
        (call,) = stub.wait_for("result")
        stub.queue("Work", action="a2")
        stub.script("heartbeat", StubResponse(409))
        stub.wait_for("result", 2)
    assert call.body["payload"] == {"heard": True}
    assert [call.path.split("/")[4] for call in stub.of("result")] == ["a1", "a2"], "a refused result is not repeated"


def test_a_forgotten_pack_registers_again_before_it_cancels_an_action(
    stub: StubServer, running: Running, waiting_pack: WaitingPack
) -> None:
    stub.queue("Work", 1)
    with running(waiting_pack.pack):
        stub.wait_for("heartbeat")
        stub.script("heartbeat", StubResponse(404))
        wait_for_more(stub, 4)
        assert not waiting_pack.actions[1].cancelled.is_set()
        assert len(stub.of("packs")) == 2
        stub.script("root", StubResponse(404))
        stub.script("heartbeat", StubResponse(404))
        wait_for_more(stub, 4)
        assert not waiting_pack.actions[1].cancelled.is_set(), "something that is no Flyte server said so"
        stub.script("heartbeat", StubResponse(404), StubResponse(404))
        assert waiting_pack.actions[1].cancelled.wait(PATIENCE)
        waiting_pack.released.set()


def test_heartbeats_continue_until_the_result_is_delivered_even_during_shutdown(
    stub: StubServer, running: Running, waiting_pack: WaitingPack
) -> None:
    stub.queue("Work", 1)
    with running(waiting_pack.pack):
        stub.wait_for("heartbeat")
        waiting_pack.pack.stop()
        wait_for_more(stub)
        stub.script("result", *[StubResponse(503, headers={"Retry-After": "0"})] * 3)
        waiting_pack.released.set()
        stub.wait_for("result")
        wait_for_more(stub, 1)
    assert len(stub.of("result")) == 4


def test_an_error_in_a_heartbeat_does_not_stop_the_next() -> None:
    came = threading.Semaphore(0)

    def extend(lease: Lease, timeout: float) -> bool:
        came.release()
        raise RuntimeError("a defect")

    with HeartbeatSender(extend).keep_alive(Lease(httpx.URL("http://h"), 30), lambda: None):
        assert all(came.acquire(timeout=PATIENCE) for _ in range(3))


def test_heartbeats_of_a_handler_that_never_returns_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "MAX_WORK_SECONDS", 0.2)
    made: list[str] = []

    def extend(lease: Lease, timeout: float) -> bool:
        made.append(lease.heartbeat_url.host)
        return True

    sender = HeartbeatSender(extend)
    short, long = Lease(httpx.URL("http://short"), 0), Lease(httpx.URL("http://long"), 600)
    with sender.keep_alive(short, lambda: None), sender.keep_alive(long, lambda: None):
        deadline = time.monotonic() + PATIENCE
        while made[-5:] != ["long"] * 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    sender.stop()
    assert "short" in made


@pytest.mark.parametrize(
    ("seconds", "minimum", "maximum"), [(1, 0.8, 1), (3, 0.8, 1), (30, 8, 10), (180, 48, 60), (86400, 48, 60)]
)
def test_the_interval_is_a_random_third_of_the_lease_within_limits(
    monkeypatch: pytest.MonkeyPatch, seconds: int, minimum: float, maximum: float
) -> None:
    monkeypatch.setattr(heartbeats, "MAX_INTERVAL", 60.0)
    beat = LeaseHeartbeat(Lease(httpx.URL("http://h"), seconds), lambda: None)
    rests = [beat.interval for _ in range(500)]
    assert all(minimum <= rest <= maximum for rest in rests)
    assert len(set(rests)) > 400
    assert all(
        beat.schedule_retry(retry_after) <= maximum
        for retry_after in (0.0, 5.0, 3600.0, None, None, None, None, None, None)
    )
    assert beat.schedule_retry(0.0) > 0


def test_outside_a_handler_current_action_raises(stub: StubServer, running: Running) -> None:
    pack = Pack("Curious", api_url=stub.url, poll_interval=0.02)

    @pack.command("Ask", events=["Asked"])
    def ask(action_input: Any) -> Event:
        return Event("Asked", current_action().command)

    stub.queue("Ask")
    with running(pack):
        stub.wait_for("result", payload="Ask")
    with pytest.raises(LookupError, match="no current action"):
        current_action()
