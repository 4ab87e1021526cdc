"""One-line summaries of executions: trigger, steps with their packs, and current state. Pure functions."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from audit.timeline import (
    WAITING_FOR_RETRY,
    ActionInterval,
    IntervalKind,
    build_intervals,
    get_status,
    total_run_time,
)
from flows.definition import read_outline
from flows.models import Execution
from flyte_site.core.timestamps import humanize_duration
from packs.models import Action, ActionState

MAX_STEPS = 6
ARROW = " → "


@dataclass(frozen=True)
class _SummaryContext:
    """Inputs of a summary besides the actions: the time, and the ids of actions that wait for a quota."""

    now: datetime
    waiting_for_quota: Container[str]


def summarize_execution(
    execution: Execution, actions: Sequence[Action], now: datetime, waiting_for_quota: Container[str] = ()
) -> str:
    """Summarize an execution, e.g. `Slack.Received → deploy (Shell.Shell, succeeded in 2.1 s) → notify queued for Slack
    for 3 min`; if several steps followed one, `Timer.Fired → [a (…) → c (…) | b (…)]`.

    Steps are in the order of queueing; of many, only the first and the last are listed. Needs the execution's version
    and only the `SUMMARY_FIELDS` of its actions. `waiting_for_quota`: ids of actions that a hosted pack took but can't
    begin yet.
    """
    ordered = sorted(actions, key=lambda action: action.id)
    context = _SummaryContext(now, waiting_for_quota)
    parts = _describe_chain(ordered, context) if _is_chain(ordered) else [_describe_tree(ordered, context)]
    errors = [f"{error.get('stepId') or 'the flow'} could not be evaluated" for error in execution.errors[:2]]
    return ARROW.join([_describe_trigger(execution, actions), *parts, *errors])


def _is_chain(ordered: Sequence[Action]) -> bool:
    """Return True if each step followed the one before it."""
    return all(previous.id == action.triggered_by for previous, action in pairwise(ordered))


def _describe_chain(ordered: Sequence[Action], context: _SummaryContext) -> list[str]:
    parts = [_describe_action(action, context) for action in ordered]
    if len(parts) > MAX_STEPS:
        parts[MAX_STEPS - 2 : -2] = [
            f"{len(parts) - MAX_STEPS} more steps" if len(parts) > MAX_STEPS + 1 else "one more step"
        ]
    return parts


def _describe_tree(ordered: Sequence[Action], context: _SummaryContext) -> str:
    """Describe the steps, each with those that followed it; of many, the first ones and the one queued last."""
    listed = ordered if len(ordered) <= MAX_STEPS else ordered[: MAX_STEPS - 1]
    listed_ids = {action.id for action in listed}
    dependents: dict[str, list[Action]] = {}
    for action in listed:
        dependents.setdefault(action.triggered_by if action.triggered_by in listed_ids else "", []).append(action)
    text = _describe_branches(dependents, "", context)
    unlisted_count = len(ordered) - len(listed)
    return (
        f"{text}; then {unlisted_count} more steps, the last {_describe_action(ordered[-1], context)}"
        if unlisted_count
        else text
    )


def _describe_branches(dependents: Mapping[str, Sequence[Action]], cause: str, context: _SummaryContext) -> str:
    """Describe the steps that followed this action, recursively; '' if no step followed."""
    branches = []
    for action in dependents.get(cause, ()):
        next_branches = _describe_branches(dependents, action.id, context)
        branches.append(_describe_action(action, context) + (f"{ARROW}{next_branches}" if next_branches else ""))
    return branches[0] if len(branches) == 1 else f"[{' | '.join(branches)}]" if branches else ""


# Fields of an action that a summary needs; contexts, inputs and payloads may be long and are not loaded.
SUMMARY_FIELDS = (
    "correlation_id", "step_id", "pack_name", "name", "state", "state_log", "attempt", "claimed_by", "ready_at",
    "triggered_by",
)  # fmt: skip


def _describe_trigger(execution: Execution, actions: Sequence[Action]) -> str:
    """Return the trigger event as the flow version names it: a trigger fires on no other."""
    first = min((action for action in actions if not action.triggered_by), key=lambda action: action.id, default=None)
    step = read_outline(execution.version.document).get_step(first.step_id) if first else None
    return step.event.full_name if step and step.event else "an event"


def _describe_action(action: Action, context: _SummaryContext) -> str:
    action_intervals, now = build_intervals(action), context.now
    command = f"{action.pack_name}.{action.name}"
    if action.state == ActionState.NEW:
        return f"{action.step_id} {_describe_queued(action, action_intervals, now)}"
    if action.state == ActionState.PENDING:
        relation = "waiting for quota of" if action.id in context.waiting_for_quota else "running on"
        duration = _describe_duration(action_intervals, now)
        return f"{action.step_id} ({command}) {relation} {action.claimed_by} for {duration}{_describe_attempt(action)}"
    if action.state == ActionState.CANCELLED:
        return f"{action.step_id} ({command}, cancelled)"
    run_time = humanize_duration(total_run_time(action_intervals, now))
    verb = "succeeded in" if action.state == ActionState.SUCCESS else "failed after"
    return f"{action.step_id} ({command}, {verb} {run_time}{_describe_attempt(action)})"


def _describe_queued(action: Action, action_intervals: Sequence[ActionInterval], now: datetime) -> str:
    if get_status(action, now) == WAITING_FOR_RETRY:
        remaining = humanize_duration(action.ready_at - now)
        return f"({action.pack_name}.{action.name}) {WAITING_FOR_RETRY} in {remaining}"
    attempt_text = f", attempt {action.attempt + 1}" if action.attempt else ""
    return f"queued for {action.pack_name} for {_describe_duration(action_intervals, now)}{attempt_text}"


def _describe_duration(action_intervals: Sequence[ActionInterval], now: datetime) -> str:
    return (
        humanize_duration(action_intervals[-1].duration(now))
        if action_intervals and action_intervals[-1].kind is not IntervalKind.ENDED
        else "0 ms"
    )


def _describe_attempt(action: Action) -> str:
    return f", attempt {action.attempt}" if action.attempt > 1 else ""
