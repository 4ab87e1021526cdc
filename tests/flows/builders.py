"""Builders for tests of flows: documents, packs, and manual runs."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from flows.definition import parse_flow, store
from flows.engine.complete import complete_action
from flows.engine.handle_event import handle_event
from flows.engine.step import EventSource, IncomingEvent
from flows.models import Execution, Flow
from packs import registry
from packs.models import Action, Pack
from packs.queue.results import ResultStatus
from packs.queue.take import take as take_action


def step(**changes: Any) -> dict[str, Any]:
    """A step that fires on Src.Go and asks Wrk to Do."""
    plain = {"event": {"packName": "Src", "name": "Go"}, "command": {"packName": "Wrk", "name": "Do"}}
    return {**plain, **changes}


def follower(after: str | list[str], event: str = "Done", pack: str = "Wrk", **changes: Any) -> dict[str, Any]:
    """A step that fires on an event of an action of its execution."""
    named = [after] if isinstance(after, str) else after
    return step(event={"packName": pack, "name": event}, dependsOn=named, **changes)


def document(*steps: dict[str, Any], name: str = "flow", **changes: Any) -> dict[str, Any]:
    return {"name": name, "steps": list(steps), **changes}


def save(*steps: dict[str, Any], name: str = "flow", **changes: Any) -> Flow:
    return store.save_flow(parse_flow(document(*steps, name=name, **changes)))


def pack(name: str, **labels: str) -> Pack:
    return registry.register({"name": name, "labels": labels, "commands": [], "events": [], "links": []})


def event(sender: Pack, name: str, payload: Any = None) -> IncomingEvent:
    now = timezone.now()
    return IncomingEvent(EventSource.of_pack(sender), name, payload, now, now)


def tell(sender: Pack, name: str = "Go", payload: Any = None) -> None:
    """The pack posts an event."""
    handle_event(event(sender, name, payload))


def take(taker: Pack) -> Action:
    """The pack takes its next action; there must be one."""
    action = take_action(taker)
    assert action is not None, f"nothing waits for {taker}"
    return action


def give(taker: Pack, action: Action, name: str = "Done", payload: Any = None) -> ResultStatus | None:
    """The pack posts the result of an attempt, as the action was when it was taken."""
    return complete_action(action.id, taker, event(taker, name, payload), action.attempt or 1)


def work(taker: Pack, name: str = "Done", payload: Any = None) -> Action:
    """The pack takes its next action and finishes it."""
    action = take(taker)
    assert give(taker, action, name, payload) is ResultStatus.ACCEPTED
    return Action.objects.get(id=action.id)


def actions(execution: Execution) -> Mapping[str, Action]:
    """The actions of an execution by step id."""
    return {action.step_id: action for action in Action.objects.filter(correlation_id=execution.id)}


def fired(execution: Execution) -> set[str]:
    return set(actions(execution))


def only_execution() -> Execution:
    """The one execution there is, as the database has it."""
    return Execution.objects.get()
