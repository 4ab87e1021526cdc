"""Typed and async handlers in a running pack, and their cancellation."""

import asyncio
import sys
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from flyte_client import Event, Pack, current_action
from flyte_client.transport import heartbeats

from .conftest import Running
from .stub_server import PATIENCE, StubServer

pytestmark = pytest.mark.integration


@dataclass
class Greeting:
    name: str
    times: int = 1


@pytest.fixture
def pack(stub: StubServer) -> Pack:
    return Pack("Typed", api_url=stub.url, poll_interval=0.02)


def test_a_typed_handler_gets_its_type(stub: StubServer, running: Running, pack: Pack) -> None:
    @pack.command("Greet", events=["Greeted"])
    def greet(greeting: Greeting) -> Event:
        return Event("Greeted", [greeting.name] * greeting.times)

    stub.queue("Greet", {"name": "Ann", "times": "2"})
    with running(pack):
        stub.wait_for("result", payload=["Ann", "Ann"])


def test_a_bad_input_is_fatal_and_the_handler_is_not_called(stub: StubServer, running: Running, pack: Pack) -> None:
    @pack.command("Greet", events=["Greeted"])
    def greet(greeting: Greeting) -> Event:
        raise AssertionError

    stub.queue("Greet", {"times": "often"})
    with running(pack):
        (call,) = stub.wait_for("result", event="FATAL")
    assert call.body["payload"] == {
        "message": "invalid input of Greet: input.name: required; input.times: must be a whole number, not text",
        "traceback": "",
    }


def test_a_bad_input_results_in_the_event_that_was_declared_for_it(
    stub: StubServer, running: Running, pack: Pack
) -> None:
    @pack.command("Greet", events=["Greeted"], bad_input="GreetFailed")
    async def greet(greeting: Greeting) -> Event:
        raise AssertionError

    stub.queue("Greet", {})
    with running(pack):
        (call,) = stub.wait_for("result", event="GreetFailed")
    fault = {"path": "input.name", "message": "required"}
    assert call.body["payload"] == {"error": "input.name: required", "errors": [fault]}


def test_async_handlers_run_concurrently_in_one_thread_and_know_their_action(
    stub: StubServer, running: Running, pack: Pack
) -> None:
    threads: set[str] = set()
    meeting: list[str] = []
    both = asyncio.Event()

    async def meet(action_input: Any) -> Event:
        threads.add(threading.current_thread().name)
        meeting.append(action_input)
        if len(meeting) == 2:
            both.set()
        await asyncio.wait_for(both.wait(), PATIENCE)
        return Event("Met", current_action().command)

    pack.command("One", events=["Met"])(meet)
    pack.command("Two", events=["Met"])(meet)
    stub.queue("One", 1, action="a1")
    stub.queue("Two", 2, action="a2")
    with running(pack):
        calls = stub.wait_for("result", 2, event="Met")
    assert threads == {"loop"}
    assert sorted(call.body["payload"] for call in calls) == ["One", "Two"]
    assert [thread for thread in threading.enumerate() if thread.name == "loop"] == []


def test_sync_handlers_run_at_the_same_time_as_an_async_one(stub: StubServer, running: Running, pack: Pack) -> None:
    released = threading.Event()

    @pack.command("Wait", events=["Waited"])
    async def wait(action_input: Any) -> Event:
        await asyncio.to_thread(released.wait, PATIENCE)
        return Event("Waited")

    @pack.command("Release", events=["Released"])
    def release(action_input: Any) -> Event:
        released.set()
        return Event("Released")

    stub.queue("Wait", action="a1")
    stub.queue("Release", action="a2")
    with running(pack):
        stub.wait_for("result", event="Waited")


@pytest.mark.parametrize("failure", [ValueError("of its own"), SystemExit(3), asyncio.CancelledError()])
def test_an_async_handler_that_fails_is_fatal_and_the_others_continue(
    stub: StubServer, running: Running, pack: Pack, failure: BaseException
) -> None:
    @pack.command("Fail", events=[])
    async def fail(action_input: Any) -> Event:
        await asyncio.sleep(0)
        if action_input == "exit":
            sys.exit(3)
        if action_input:
            raise failure
        return Event("Fine")

    stub.queue("Fail", True, action="a1")
    with running(pack):
        stub.wait_for("result", event="FATAL")
        stub.queue("Fail", False, action="a2")
        stub.wait_for("result", event="Fine")


def test_an_async_handler_is_cancelled_when_its_action_is(
    stub: StubServer, running: Running, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "MAX_INTERVAL", 0.02)
    stub.lease = "600"
    stub.cancelled.update({"a1", "a2"})

    @pack.command("Hang", events=["Hung"])
    async def hang(action_input: Any) -> Event:
        await asyncio.sleep(PATIENCE * 20)
        raise AssertionError

    @pack.command("Tidy", events=["Tidied"])
    async def tidy(action_input: Any) -> Event:
        try:
            await asyncio.sleep(PATIENCE * 20)
        except asyncio.CancelledError:
            return Event("Tidied", current_action().cancelled.is_set())
        raise AssertionError

    stub.queue("Hang", action="a1")
    stub.queue("Tidy", action="a2")
    stub.queue("Nobody", action="a3")
    with running(pack):
        stub.wait_for("result", 3)
        by_action = {call.path.split("/")[4]: call.body for call in stub.of("result")}
    assert by_action["a1"]["event"] == "FATAL"
    assert by_action["a1"]["payload"]["message"] == "the handler was cancelled"
    assert (by_action["a2"]["event"], by_action["a2"]["payload"]) == ("Tidied", True)


def test_tasks_of_an_async_handler_end_with_the_pack(stub: StubServer, running: Running, pack: Pack) -> None:
    left: list[asyncio.Task[None]] = []

    @pack.command("Leave", events=["Left"])
    async def leave(action_input: Any) -> Event:
        left.append(asyncio.create_task(asyncio.sleep(PATIENCE * 20)))
        return Event("Left")

    stub.queue("Leave")
    with running(pack):
        stub.wait_for("result", event="Left")
    assert left[0].cancelled()
