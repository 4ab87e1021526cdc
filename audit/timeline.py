"""Queue time and run time of an action, attempt by attempt. Pure functions of the action's own log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flyte_site.core.timestamps import parse_rfc3339
from packs.models import Action, ActionState


class IntervalKind(StrEnum):
    """The action's state in an interval: queued, claimed by a pack, or ended (until it was retried)."""

    QUEUED = "waiting"
    CLAIMED = "held"
    ENDED = "ended"


class IntervalEnd(StrEnum):
    """The event that ended an interval; empty for the last interval of an unfinished action."""

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
    """An interval of an action's time: `end` is None while it lasts, `attempt` counts from 1, `claimed_by` is
    a pack.
    """

    kind: IntervalKind
    attempt: int
    start: datetime
    end: datetime | None
    ended_with: IntervalEnd
    claimed_by: str = ""

    def duration(self, now: datetime) -> timedelta:
        """Return the duration, up to `now` for an open interval; never negative, even if servers' clocks differ."""
        return max((self.end or now) - self.start, timedelta(0))


@dataclass(frozen=True)
class _StateEntry:
    value: str
    time: datetime


def build_intervals(action: Action) -> list[ActionInterval]:
    """Build the intervals since the action was queued, in order and without gaps. A finished action's last interval is
    closed.

    Needs `state_log`; claimers of earlier attempts and expired leases are included if `attempt_log` is loaded.
    """
    entries = [_StateEntry(entry["value"], parse_rfc3339(entry["time"])) for entry in action.state_log]
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
    """Map each attempt that did not end the action to its claimer and True if the lease expired. Skips late results."""
    if "attempt_log" in action.get_deferred_fields():
        return {}
    return {
        entry["attempt"]: (entry["packId"], bool(entry.get("leaseEnded")))
        for entry in action.attempt_log
        if not entry.get("late")
    }


def _find_claimer(action: Action, attempt: int) -> str:
    return action.claimed_by if attempt == action.attempt else ""


def total_run_time(action_intervals: Sequence[ActionInterval], now: datetime) -> timedelta:
    """Sum the time for which packs had claimed the action, over all attempts."""
    return sum(
        (interval.duration(now) for interval in action_intervals if interval.kind is IntervalKind.CLAIMED), timedelta(0)
    )
