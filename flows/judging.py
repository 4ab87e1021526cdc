"""Which steps are judged when, and with what context: of an event, and of an execution when one of its actions ends.

Reads and writes nothing but its arguments: the real run and the dry run share it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from flows.document import FlowDefinition, StepDefinition
from flows.lang import Secret
from flows.secrecy import context_of
from flows.steps import Context, Event, Kind, Outcome, PackSeen, listens
from flyte_site.encryption import UnreadableError
from flyte_site.times import from_text
from packs.models import Action

Judge = Callable[[StepDefinition, Event, Context, Action | None], Outcome]
"""What comes of a step for an event, with the context that it inherits, as `steps.evaluate` says. The action is the one
whose result the event is; None for a trigger's event."""


def judge_triggers(document: FlowDefinition, event: Event, judge: Judge) -> list[Outcome]:
    """The steps that may begin an execution on this event."""
    return [judge(step, event, {}, None) for step in document.triggers if listens(step, event)]


def judge_followers(
    document: FlowDefinition, actions: list[Action], action: Action, event: Event, judge: Judge
) -> list[Outcome]:
    """The steps that may fire now that `action` has finished with `event`; `actions` are all of the execution."""
    by_step = {known.step_id: known for known in actions}
    outcomes = []
    for step in document.steps:
        if step.is_trigger or step.id in by_step:
            continue
        cause = _cause(step, by_step, action)
        if cause is None:
            continue
        seen = event if cause.id == action.id else event_of(cause.result)
        try:
            inherited = _inherited(actions, cause)
        except UnreadableError as error:
            outcomes.append(_unreadable(step, error))
            continue
        outcome = judge(step, seen, inherited, cause)
        if outcome.draft:
            outcome = replace(outcome, draft=replace(outcome.draft, triggered_by=cause.id))
        outcomes.append(outcome)
    return outcomes


def _cause(step: StepDefinition, by_step: Mapping[str, Action], action: Action) -> Action | None:
    """The finished action whose result the step is to be judged by now that `action` finished, if any."""
    named = [by_step[step_id] for step_id in step.depends_on if step_id in by_step and by_step[step_id].finished]
    if step.depends_on_mode == "any":
        return action if named and _matches(step, action) else None
    if action.step_id not in step.depends_on or len(named) < len(set(step.depends_on)):
        return None
    return max((one for one in named if _matches(step, one)), key=_finish_order, default=None)


def _matches(step: StepDefinition, action: Action) -> bool:
    result = action.result
    return bool(step.event.pack_name == result["pack"]["name"] and step.event.name == result["event"])


def _finish_order(action: Action) -> tuple[datetime, str]:
    return action.finished_at or timezone.now(), action.id


def _inherited(actions: Iterable[Action], cause: Action) -> Context:
    """The contexts of the finished actions in the order of finishing, that of the cause laid on last.

    Raises `UnreadableError` where it has a secret that can't be read.
    """
    merged: dict[str, str | Secret] = {}
    for action in sorted((one for one in actions if one.finished and one.id != cause.id), key=_finish_order):
        merged |= context_of(action)
    merged |= context_of(cause)
    return merged


def _unreadable(step: StepDefinition, error: UnreadableError) -> Outcome:
    message = f"a secret of the context that it inherits can't be read: {error}"
    return Outcome(step.id, Kind.ERROR, message=message, path=f"{step.path}.context")


def event_of(result: Mapping[str, Any]) -> Event:
    """The event that the audit shows so."""
    pack = PackSeen(result["pack"]["id"], result["pack"]["name"], result["pack"].get("labels", {}))
    times = (from_text(result["createdAt"]), from_text(result["receivedAt"]))
    return Event(pack, result["event"], result.get("payload"), *times)
