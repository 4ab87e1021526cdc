"""Flows that record events as executions, and functions that wait for them."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.client.stub_server import PATIENCE
from tests.examples.world import ExampleClient, link

T = TypeVar("T")


def eventually(what: Callable[[], T], why: str = "the condition was not met in time") -> T:
    """Return the first true result of the function; fail on a timeout."""
    deadline = time.monotonic() + PATIENCE
    while not (value := what()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert value, why
    return value


def watch(world: ExampleClient, pack: str, event: str) -> None:
    """Save a flow that starts an execution for each such event, with its payload as the action's input."""
    step = {
        "event": {"packName": pack, "name": event},
        "context": {"Payload": "{{ Event.Payload }}"},
        "command": {"packName": "Nobody", "name": "Note", "input": "{{ Event.Payload }}"},
    }
    posted = world.http.post(
        link(world.links, "/listFlows"), json={"name": f"{pack}-{event}", "steps": [step | {"id": "note"}]}
    )
    assert posted.status_code == 201, posted.text


def seen(world: ExampleClient, pack: str, event: str) -> list[Any]:
    """Return the payloads of the events that started an execution, oldest first."""
    executions = world.executions(f"{pack}-{event}")
    actions = [world.get(link(execution["links"], "self"))["actions"]["note"] for execution in reversed(executions)]
    return [action["trigger"]["payload"] for action in actions]
