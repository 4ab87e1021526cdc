"""`PackTester`: results as in a running pack, and errors for undeclared events."""

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from flyte_client import Event, Pack, current_action
from flyte_client.testing import PackTester

pytestmark = pytest.mark.unit


@dataclass
class GreetInput:
    name: str


def nest(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.fixture
def pack() -> Pack:
    pack = Pack("Greeter")
    pack.event("Asked")

    @pack.command("Greet", events=["Greeted"], bad_input="GreetFailed")
    def greet(greeting: GreetInput) -> Event:
        return Event("Greeted", {"text": f"Hello {greeting.name}!"})

    @pack.command("Later", events=["Greeted"])
    async def later(action_input: Any) -> Event:
        await asyncio.sleep(0)
        return Event("Greeted", action_input)

    @pack.command("Ask", events=["Greeted"])
    def ask(action_input: Any) -> Event:
        pack.send("Asked", (1, 2))
        pack.send("Asked", None, key="asked/1", within=5)
        return Event("Greeted", current_action().cancelled.is_set())

    @pack.command("Break", events=[])
    def break_(action_input: Any) -> Event:
        raise ValueError("of its own")

    pack.command("Stray", events=["Greeted"])(lambda action_input: Event("Greated"))
    pack.command("Odd", events=["Greeted"])(lambda action_input: Event("Greeted", object()))
    pack.command("Deep", events=["Greeted"])(lambda depth: Event("Greeted", nest(depth)))
    return pack


def test_a_command_returns_its_event(pack: Pack) -> None:
    assert PackTester(pack).command("Greet", {"name": "Ann"}) == Event("Greeted", {"text": "Hello Ann!"})


def test_an_async_handler_is_run_to_its_end(pack: Pack) -> None:
    assert PackTester(pack).command("Later", {"a": (1, 2)}) == Event("Greeted", {"a": [1, 2]})


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_a_result_that_is_nested_too_deeply_becomes_fatal_with_the_limit(pack: Pack, depth: int) -> None:
    assert PackTester(pack).command("Deep", 99) == Event("Greeted", nest(99))
    event = PackTester(pack).command("Deep", depth)
    assert (event.name, event.payload["message"]) == ("FATAL", "NestingError: nested deeper than 100 levels")


def test_a_bad_input_returns_its_event(pack: Pack) -> None:
    event = PackTester(pack).command("Greet", {})
    assert event.name == "GreetFailed"
    assert event.payload["errors"] == [{"path": "input.name", "message": "required"}]


@pytest.mark.parametrize(("name", "words"), [("Break", "ValueError: of its own"), ("Odd", "TypeError: ")])
def test_a_failure_in_a_running_pack_is_fatal_in_the_tester(pack: Pack, name: str, words: str) -> None:
    event = PackTester(pack).command(name)
    assert event.name == "FATAL"
    assert event.payload["message"].startswith(words)


def test_sent_events_are_recorded_without_a_server(pack: Pack) -> None:
    tester = PackTester(pack)
    assert tester.command("Ask") == Event("Greeted", False)
    pack.send("Asked", "outside")
    assert tester.sent == [Event("Asked", [1, 2]), Event("Asked"), Event("Asked", "outside")]


def test_a_handler_can_be_cancelled(pack: Pack) -> None:
    cancelled = threading.Event()
    cancelled.set()
    assert PackTester(pack).command("Ask", cancelled=cancelled) == Event("Greeted", True)


def test_an_undeclared_event_is_an_error(pack: Pack) -> None:
    with pytest.raises(AssertionError, match="Stray returned the undeclared event Greated; declared: Greeted"):
        PackTester(pack).command("Stray")


def test_an_unknown_command_is_an_error(pack: Pack) -> None:
    with pytest.raises(LookupError, match="command 'Grete' not found; the pack has: Greet, Later"):
        PackTester(pack).command("Grete")
