"""The steps that depend on a result, for events on whose receipt none of them was evaluated."""

from collections.abc import Container
from dataclasses import dataclass

from flows.definition import StepOutline, read_outline
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
    return [
        _build_dependent_step(step, actions)
        for step in read_outline(execution.version.document).steps
        if ended.intersection(step.depends_on) and _matches_event(step, event)
    ]


def _matches_event(step: StepOutline, event: Event) -> bool:
    return step.event is not None and (step.event.pack_name, step.event.name) == (event.pack_name, event.name)


def _build_dependent_step(step: StepOutline, fired_step_ids: Container[str]) -> DependentStep:
    return DependentStep(step.id, step.describe_dependencies(), step.id in fired_step_ids)
