"""The steps of an execution that wait for a result in it: what there is to say where none was judged on the result."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from flows.models import Event, Execution
from packs.models import Action


@dataclass(frozen=True)
class DependentStep:
    """A step, the steps that it comes after, and whether it has fired by now, on this result or another."""

    step_id: str
    after: str
    has_fired: bool


def find_dependent_steps(event: Event) -> list[DependentStep]:
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
        _build_dependent_step(step.get("id", f"step-{position}"), step, actions)
        for position, step in steps
        if ended.intersection(step.get("dependsOn", ())) and _matches_event(step, event)
    ]


def _matches_event(step: Mapping[str, Any], event: Event) -> bool:
    return (step["event"]["packName"], step["event"]["name"]) == (event.pack_name, event.name)


def _build_dependent_step(step_id: str, step: Mapping[str, Any], fired_step_ids: Container[str]) -> DependentStep:
    joined = " and " if step.get("dependsOnMode") == "all" else " or "
    return DependentStep(step_id, joined.join(step["dependsOn"]), step_id in fired_step_ids)
