"""The steps that depend on a result, for events on whose receipt none of them was evaluated."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from flows.models import Event, Execution
from packs.models import Action


@dataclass(frozen=True)
class DependentStep:
    """A step, the steps that it depends on, and True if it has fired by now, on this result or another one."""

    step_id: str
    after: str
    has_fired: bool


def find_dependent_steps(event: Event) -> list[DependentStep]:
    """If the event is a result, find the steps that depend on the step that it ended. At most two queries."""
    execution = Execution.objects.select_related("version").filter(id=event.correlation_id).first()
    if execution is None:
        return []
    actions = dict(Action.objects.filter(correlation_id=execution.id).values_list("step_id", "finished_at"))
    ended = {step_id for step_id, finished_at in actions.items() if finished_at == event.received_at}
    steps = enumerate(execution.version.document.get("steps", []), start=1)
    return [
        _build_dependent_step(step.get("id", f"step-{position}"), step, actions)
        for position, step in steps
        if ended.intersection(step.get("dependsOn", ())) and _matches_event(step, event)
    ]


def _matches_event(step: Mapping[str, Any], event: Event) -> bool:
    return (step["event"]["packName"], step["event"]["name"]) == (event.pack_name, event.name)


def _build_dependent_step(step_id: str, step: Mapping[str, Any], fired_step_ids: Container[str]) -> DependentStep:
    joined = " and " if step.get("dependsOnMode") == "all" else " or "
    return DependentStep(step_id, joined.join(step["dependsOn"]), step_id in fired_step_ids)
