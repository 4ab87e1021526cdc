"""An execution told in a line: what began it, what each step asked of which pack, and where it stands. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from audit.timeline import Interval, Span, intervals, worked
from flows.models import Execution
from flyte_site.times import in_words
from packs.models import Action, State

MOST = 6
ARROW = " → "


def story(execution: Execution, actions: Sequence[Action], now: datetime) -> str:
    """E.g. `Slack.ReceivedMessage → deploy (Shell.Shell, SUCCESS 2.1 s) → notify waiting for Slack for 3 min`; where
    several steps followed one, `Timer.Fired → [a (…) → c (…) | b (…)]`.

    Steps stand in the order of their queueing; of many, the first and the last are told. Needs the execution's version,
    and of its actions no more than `STORY_FIELDS`.
    """
    ordered = sorted(actions, key=lambda action: action.id)
    told = _chain(ordered, now) if _is_chain(ordered) else [_tree(ordered, now)]
    errors = [f"{error.get('stepId') or 'the flow'} could not be judged" for error in execution.errors[:2]]
    return ARROW.join([_beginning(execution, actions), *told, *errors])


def _is_chain(ordered: Sequence[Action]) -> bool:
    """Whether each step followed the one before it."""
    return all(one.id == other.triggered_by for one, other in pairwise(ordered))


def _chain(ordered: Sequence[Action], now: datetime) -> list[str]:
    told = [_told(action, now) for action in ordered]
    if len(told) > MOST:
        told[MOST - 2 : -2] = [f"{len(told) - MOST} more steps" if len(told) > MOST + 1 else "one more step"]
    return told


def _tree(ordered: Sequence[Action], now: datetime) -> str:
    """The steps with what followed each; of many, the first, and the one that was queued last."""
    shown = ordered if len(ordered) <= MOST else ordered[: MOST - 1]
    known = {action.id for action in shown}
    followers: dict[str, list[Action]] = {}
    for action in shown:
        followers.setdefault(action.triggered_by if action.triggered_by in known else "", []).append(action)
    told = _branches(followers, "", now)
    left = len(ordered) - len(shown)
    return f"{told}; then {left} more steps, the last {_told(ordered[-1], now)}" if left else told


def _branches(followers: Mapping[str, Sequence[Action]], cause: str, now: datetime) -> str:
    """What followed the action of this id, and what followed that; '' where nothing did."""
    told = []
    for action in followers.get(cause, ()):
        later = _branches(followers, action.id, now)
        told.append(_told(action, now) + (f"{ARROW}{later}" if later else ""))
    return told[0] if len(told) == 1 else f"[{' | '.join(told)}]" if told else ""


# What a story needs of an action; contexts, inputs and payloads may be long, and stay where they are.
STORY_FIELDS = (
    "correlation_id", "step_id", "pack_name", "name", "state", "states", "attempt", "holder", "ready_at",
    "triggered_by",
)  # fmt: skip


def _beginning(execution: Execution, actions: Sequence[Action]) -> str:
    """The event that began it: as the flow's version names it, since a trigger fires on no other."""
    first = min((action for action in actions if not action.triggered_by), key=lambda action: action.id, default=None)
    steps = execution.version.document.get("steps", [])
    for place, step in enumerate(steps, start=1):
        if first is not None and step.get("id", f"step-{place}") == first.step_id:
            return f"{step['event']['packName']}.{step['event']['name']}"
    return "an event"


def _told(action: Action, now: datetime) -> str:
    found = intervals(action)
    command = f"{action.pack_name}.{action.name}"
    if action.state == State.NEW:
        return f"{action.step_id} {_waits(action, found, now)}"
    if action.state == State.PENDING:
        return f"{action.step_id} ({command}) with {action.holder} for {_length(found, now)}{_attempt(action)}"
    if action.state == State.CANCELLED:
        return f"{action.step_id} ({command}, cancelled)"
    return f"{action.step_id} ({command}, {action.state} {in_words(worked(found, now))}{_attempt(action)})"


def _waits(action: Action, found: Sequence[Interval], now: datetime) -> str:
    if action.attempt and action.ready_at > now:
        return f"tried again by {action.pack_name} in {in_words(action.ready_at - now)}"
    again = f", attempt {action.attempt + 1}" if action.attempt else ""
    return f"waiting for {action.pack_name} for {_length(found, now)}{again}"


def _length(found: Sequence[Interval], now: datetime) -> str:
    return in_words(found[-1].length(now)) if found and found[-1].span is not Span.ENDED else "0 ms"


def _attempt(action: Action) -> str:
    return f", attempt {action.attempt}" if action.attempt > 1 else ""
