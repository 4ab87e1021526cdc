"""Which steps are judged when, and with what context: of an event, and of an execution when one of its actions ends.

Reads and writes nothing but its arguments: the real run and the dry run share it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from flows.definition import FlowDefinition, StepDefinition
from flows.engine.secrets import decrypt_context
from flows.engine.step import EventSource, IncomingEvent, OutcomeKind, StepContext, StepOutcome, is_listening_for
from flows.template import Secret
from flyte_site.core.encryption import DecryptionError
from flyte_site.core.timestamps import parse_rfc3339
from packs.models import Action

Evaluator = Callable[[StepDefinition, IncomingEvent, StepContext, Action | None], StepOutcome]
"""What comes of a step for an event, with the context that it inherits, as `steps.evaluate` says. The action is the one
whose result the event is; None for a trigger's event."""


def evaluate_triggers(definition: FlowDefinition, event: IncomingEvent, evaluator: Evaluator) -> list[StepOutcome]:
    """The steps that may begin an execution on this event."""
    return [evaluator(step, event, {}, None) for step in definition.triggers if is_listening_for(step, event)]


def evaluate_dependents(
    definition: FlowDefinition, actions: list[Action], action: Action, event: IncomingEvent, evaluator: Evaluator
) -> list[StepOutcome]:
    """The steps that may fire now that `action` has finished with `event`; `actions` are all of the execution."""
    actions_by_step = {other.step_id: other for other in actions}
    outcomes = []
    for step in definition.steps:
        if step.is_trigger or step.id in actions_by_step:
            continue
        triggering_action = _find_triggering_action(step, actions_by_step, action)
        if triggering_action is None:
            continue
        triggering_event = event if triggering_action.id == action.id else event_from_json(triggering_action.result)
        try:
            inherited_context = _merge_contexts(actions, triggering_action)
        except DecryptionError as error:
            outcomes.append(_report_unreadable_context(step, error))
            continue
        outcome = evaluator(step, triggering_event, inherited_context, triggering_action)
        if outcome.action_spec:
            outcome = replace(outcome, action_spec=replace(outcome.action_spec, triggered_by=triggering_action.id))
        outcomes.append(outcome)
    return outcomes


def _find_triggering_action(
    step: StepDefinition, actions_by_step: Mapping[str, Action], action: Action
) -> Action | None:
    """The finished action whose result the step is to be judged by now that `action` finished, if any."""
    finished_dependencies = [
        actions_by_step[step_id]
        for step_id in step.depends_on
        if step_id in actions_by_step and actions_by_step[step_id].is_finished
    ]
    if step.depends_on_mode == "any":
        return action if finished_dependencies and _is_awaited_result(step, action) else None
    if action.step_id not in step.depends_on or len(finished_dependencies) < len(set(step.depends_on)):
        return None
    return max(
        (candidate for candidate in finished_dependencies if _is_awaited_result(step, candidate)),
        key=_finish_order,
        default=None,
    )


def _is_awaited_result(step: StepDefinition, action: Action) -> bool:
    result = action.result
    return bool(step.event.pack_name == result["pack"]["name"] and step.event.name == result["event"])


def _finish_order(action: Action) -> tuple[datetime, str]:
    return action.finished_at or timezone.now(), action.id


def _merge_contexts(actions: Iterable[Action], triggering_action: Action) -> StepContext:
    """The contexts of the finished actions in the order of finishing, that of the cause laid on last.

    Raises `UnreadableError` where it has a secret that can't be read.
    """
    merged: dict[str, str | Secret] = {}
    for action in sorted(
        (other for other in actions if other.is_finished and other.id != triggering_action.id), key=_finish_order
    ):
        merged |= decrypt_context(action)
    merged |= decrypt_context(triggering_action)
    return merged


def _report_unreadable_context(step: StepDefinition, error: DecryptionError) -> StepOutcome:
    message = f"a secret of the context that it inherits can't be read: {error}"
    return StepOutcome(step.id, OutcomeKind.ERROR, message=message, path=f"{step.path}.context")


def event_from_json(result: Mapping[str, Any]) -> IncomingEvent:
    """The event that the audit shows so."""
    source = EventSource(result["pack"]["id"], result["pack"]["name"], result["pack"].get("labels", {}))
    times = (parse_rfc3339(result["createdAt"]), parse_rfc3339(result["receivedAt"]))
    return IncomingEvent(source, result["event"], result.get("payload"), *times)
