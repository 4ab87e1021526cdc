"""How long an action waited and was held, attempt by attempt. Pure: reads what the action says of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flyte_site.core.timestamps import parse_rfc3339
from packs.models import Action, ActionState


class IntervalKind(StrEnum):
    """What an action did in an interval: it waited for a pack, was held by one, or had ended (till it was retried)."""

    QUEUED = "waiting"
    CLAIMED = "held"
    ENDED = "ended"


class IntervalEnd(StrEnum):
    """What an interval ended with; of an action that goes on, the last has none."""

    OPEN = ""
    TAKEN = "taken"
    SUCCESS = "SUCCESS"
    FATAL = "FATAL"
    CANCELLED = "CANCELLED"
    RETRIED = "retried"
    LEASE_EXPIRED = "lease expired"


# Statuses as pages call them; only the API shows the values of `ActionState`.
STATUSES = {"NEW": "queued", "PENDING": "running", "SUCCESS": "succeeded", "FATAL": "failed", "CANCELLED": "cancelled"}
WAITING_FOR_RETRY = "waiting for retry"


def get_status(action: Action, now: datetime) -> str:
    """Return the action's status as pages call it."""
    is_backing_off = action.state == ActionState.NEW and action.attempt and action.ready_at > now
    return WAITING_FOR_RETRY if is_backing_off else STATUSES[action.state]


@dataclass(frozen=True)
class ActionInterval:
    """One stretch of an action's time: `end` is None while it lasts, `attempt` counts from 1, `holder` is a pack."""

    kind: IntervalKind
    attempt: int
    start: datetime
    end: datetime | None
    ended_with: IntervalEnd
    claimed_by: str = ""

    def duration(self, now: datetime) -> timedelta:
        """How long it lasted, or has lasted by now; never less than nothing, whatever the clocks of servers say."""
        return max((self.end or now) - self.start, timedelta(0))


@dataclass(frozen=True)
class _StateEntry:
    value: str
    time: datetime


def build_intervals(action: Action) -> list[ActionInterval]:
    """The action's time from when it was queued, in order and without gaps. What is done has an end and nothing after.

    Needs `states`; holders of earlier attempts and leases that ended are told where `history` is loaded too.
    """
    entries = [_StateEntry(entry["value"], parse_rfc3339(entry["time"])) for entry in action.states]
    past_attempts = _read_past_attempts(action)
    action_intervals: list[ActionInterval] = []
    attempt = 0
    for index, entry in enumerate(entries):
        following = entries[index + 1] if index + 1 < len(entries) else None
        attempt += entry.value == ActionState.PENDING
        if following or entry.value in (ActionState.NEW, ActionState.PENDING):
            action_intervals.append(_build_interval(entry, following, attempt, action, past_attempts))
    return action_intervals


def _build_interval(
    entry: _StateEntry,
    following: _StateEntry | None,
    attempt: int,
    action: Action,
    past_attempts: dict[int, tuple[str, bool]],
) -> ActionInterval:
    end = following.time if following else None
    if entry.value == ActionState.NEW:
        ended_with = (
            IntervalEnd.OPEN
            if following is None
            else IntervalEnd.CANCELLED
            if following.value == ActionState.CANCELLED
            else IntervalEnd.TAKEN
        )
        return ActionInterval(IntervalKind.QUEUED, attempt + 1, entry.time, end, ended_with)
    if entry.value != ActionState.PENDING:
        return ActionInterval(IntervalKind.ENDED, attempt, entry.time, end, IntervalEnd.RETRIED)
    claimed_by, is_lease_expired = past_attempts.get(attempt, ("", False))
    ended_with = _find_claim_end(following, is_lease_expired)
    return ActionInterval(
        IntervalKind.CLAIMED, attempt, entry.time, end, ended_with, claimed_by or _find_claimer(action, attempt)
    )


def _find_claim_end(following: _StateEntry | None, is_lease_expired: bool) -> IntervalEnd:
    if following is None:
        return IntervalEnd.OPEN
    if is_lease_expired and following.value != ActionState.CANCELLED:
        return IntervalEnd.LEASE_EXPIRED
    return IntervalEnd.RETRIED if following.value == ActionState.NEW else IntervalEnd(following.value)


def _read_past_attempts(action: Action) -> dict[int, tuple[str, bool]]:
    """Of attempts that did not end the action: who had it, and whether the lease ended. Late results tell neither."""
    if "history" in action.get_deferred_fields():
        return {}
    return {
        entry["attempt"]: (entry["packId"], bool(entry.get("leaseEnded")))
        for entry in action.history
        if not entry.get("late")
    }


def _find_claimer(action: Action, attempt: int) -> str:
    return action.holder if attempt == action.attempt else ""


def total_run_time(action_intervals: Sequence[ActionInterval], now: datetime) -> timedelta:
    """How long packs had the action, all attempts together."""
    return sum(
        (interval.duration(now) for interval in action_intervals if interval.kind is IntervalKind.CLAIMED), timedelta(0)
    )
