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
    """Build a step that fires on Src.Go and runs the command Do of Wrk."""
    defaults = {"event": {"packName": "Src", "name": "Go"}, "command": {"packName": "Wrk", "name": "Do"}}
    return {**defaults, **changes}


def follower(after: str | list[str], event: str = "Done", pack: str = "Wrk", **changes: Any) -> dict[str, Any]:
    """Build a step that depends on other steps, and fires on an event of one of their actions."""
    dependencies = [after] if isinstance(after, str) else after
    return step(event={"packName": pack, "name": event}, dependsOn=dependencies, **changes)


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
    """Post an event of the pack."""
    handle_event(event(sender, name, payload))


def take(taker: Pack) -> Action:
    """Take the next action of the pack; fail if none is ready."""
    action = take_action(taker)
    assert action is not None, f"nothing waits for {taker}"
    return action


def give(taker: Pack, action: Action, name: str = "Done", payload: Any = None) -> ResultStatus | None:
    """Post the result of an attempt; `action` is in the state in which the pack took it."""
    return complete_action(action.id, taker, event(taker, name, payload), action.attempt or 1)


def work(taker: Pack, name: str = "Done", payload: Any = None) -> Action:
    """Take the next action of the pack, and finish it."""
    action = take(taker)
    assert give(taker, action, name, payload) is ResultStatus.ACCEPTED
    return Action.objects.get(id=action.id)


def actions(execution: Execution) -> Mapping[str, Action]:
    """Return the actions of an execution by step id."""
    return {action.step_id: action for action in Action.objects.filter(correlation_id=execution.id)}


def fired(execution: Execution) -> set[str]:
    return set(actions(execution))


def only_execution() -> Execution:
    """Read the only execution from the database."""
    return Execution.objects.get()
