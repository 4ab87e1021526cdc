"""An execution told in a line: what began it, what each step asked of which pack, and where it stands. Pure."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from audit.timeline import WAITING_FOR_RETRY, Interval, Span, intervals, status, worked
from flows.models import Execution
from flyte_site.times import in_words
from packs.models import Action, State

MOST = 6
ARROW = " → "


@dataclass(frozen=True)
class _Sight:
    """What a story is told by, beside the actions: the time, and the ids of those that wait for a quota."""

    now: datetime
    queued: Container[str]


def story(execution: Execution, actions: Sequence[Action], now: datetime, queued: Container[str] = ()) -> str:
    """E.g. `Slack.Received → deploy (Shell.Shell, succeeded in 2.1 s) → notify queued for Slack for 3 min`; where
    several steps followed one, `Timer.Fired → [a (…) → c (…) | b (…)]`.

    Steps stand in the order of their queueing; of many, the first and the last are told. Needs the execution's version,
    and of its actions no more than `STORY_FIELDS`. `queued` are those that a hosted pack holds, but can't begin yet.
    """
    ordered = sorted(actions, key=lambda action: action.id)
    sight = _Sight(now, queued)
    told = _chain(ordered, sight) if _is_chain(ordered) else [_tree(ordered, sight)]
    errors = [f"{error.get('stepId') or 'the flow'} could not be evaluated" for error in execution.errors[:2]]
    return ARROW.join([_beginning(execution, actions), *told, *errors])


def _is_chain(ordered: Sequence[Action]) -> bool:
    """Whether each step followed the one before it."""
    return all(one.id == other.triggered_by for one, other in pairwise(ordered))


def _chain(ordered: Sequence[Action], sight: _Sight) -> list[str]:
    told = [_told(action, sight) for action in ordered]
    if len(told) > MOST:
        told[MOST - 2 : -2] = [f"{len(told) - MOST} more steps" if len(told) > MOST + 1 else "one more step"]
    return told


def _tree(ordered: Sequence[Action], sight: _Sight) -> str:
    """The steps with what followed each; of many, the first, and the one that was queued last."""
    shown = ordered if len(ordered) <= MOST else ordered[: MOST - 1]
    known = {action.id for action in shown}
    followers: dict[str, list[Action]] = {}
    for action in shown:
        followers.setdefault(action.triggered_by if action.triggered_by in known else "", []).append(action)
    told = _branches(followers, "", sight)
    left = len(ordered) - len(shown)
    return f"{told}; then {left} more steps, the last {_told(ordered[-1], sight)}" if left else told


def _branches(followers: Mapping[str, Sequence[Action]], cause: str, sight: _Sight) -> str:
    """What followed the action of this id, and what followed that; '' where nothing did."""
    told = []
    for action in followers.get(cause, ()):
        later = _branches(followers, action.id, sight)
        told.append(_told(action, sight) + (f"{ARROW}{later}" if later else ""))
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


def _told(action: Action, sight: _Sight) -> str:
    found, now = intervals(action), sight.now
    command = f"{action.pack_name}.{action.name}"
    if action.state == State.NEW:
        return f"{action.step_id} {_waits(action, found, now)}"
    if action.state == State.PENDING:
        place = "waiting for quota of" if action.id in sight.queued else "running on"
        return f"{action.step_id} ({command}) {place} {action.holder} for {_length(found, now)}{_attempt(action)}"
    if action.state == State.CANCELLED:
        return f"{action.step_id} ({command}, cancelled)"
    ended = "succeeded in" if action.state == State.SUCCESS else "failed after"
    return f"{action.step_id} ({command}, {ended} {in_words(worked(found, now))}{_attempt(action)})"


def _waits(action: Action, found: Sequence[Interval], now: datetime) -> str:
    if status(action, now) == WAITING_FOR_RETRY:
        return f"({action.pack_name}.{action.name}) {WAITING_FOR_RETRY} in {in_words(action.ready_at - now)}"
    again = f", attempt {action.attempt + 1}" if action.attempt else ""
    return f"queued for {action.pack_name} for {_length(found, now)}{again}"


def _length(found: Sequence[Interval], now: datetime) -> str:
    return in_words(found[-1].length(now)) if found and found[-1].span is not Span.ENDED else "0 ms"


def _attempt(action: Action) -> str:
    return f", attempt {action.attempt}" if action.attempt > 1 else ""
