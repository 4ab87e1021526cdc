"""The steps of an execution that wait for a result in it: what there is to say where none was judged on the result."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from flows.models import Event, Execution
from packs.models import Action


@dataclass(frozen=True)
class Follower:
    """A step, the steps that it comes after, and whether it has fired by now, on this result or another."""

    step: str
    after: str
    fired: bool


def followers(event: Event) -> list[Follower]:
    """The steps that wait for this result in its execution, if it is one: those that come after the step that ended
    with it. Two queries at most.
    """
    execution = Execution.objects.select_related("version").filter(id=event.correlation_id).first()
    if execution is None:
        return []
    actions = dict(Action.objects.filter(correlation_id=execution.id).values_list("step_id", "finished_at"))
    ended = {step_id for step_id, finished_at in actions.items() if finished_at == event.received_at}
    steps = enumerate(execution.version.document.get("steps", []), start=1)
    return [
        _follower(step.get("id", f"step-{place}"), step, actions)
        for place, step in steps
        if ended.intersection(step.get("dependsOn", ())) and _listens(step, event)
    ]


def _listens(step: Mapping[str, Any], event: Event) -> bool:
    return (step["event"]["packName"], step["event"]["name"]) == (event.pack_name, event.name)


def _follower(name: str, step: Mapping[str, Any], fired: Container[str]) -> Follower:
    joined = " and " if step.get("dependsOnMode") == "all" else " or "
    return Follower(name, joined.join(step["dependsOn"]), name in fired)
