"""How long an action waited and was held, attempt by attempt. Pure: reads what the action says of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flyte_site.times import from_text
from packs.models import Action, State


class Span(StrEnum):
    """What an action did in an interval: it waited for a pack, was held by one, or had ended (till it was retried)."""

    WAITING = "waiting"
    HELD = "held"
    ENDED = "ended"


class End(StrEnum):
    """What an interval ended with; of an action that goes on, the last has none."""

    OPEN = ""
    TAKEN = "taken"
    SUCCESS = "SUCCESS"
    FATAL = "FATAL"
    CANCELLED = "CANCELLED"
    TRIED_AGAIN = "retried"
    LEASE_ENDED = "lease expired"


# The statuses on pages; only the API has the values of `State`.
STATUSES = {"NEW": "queued", "PENDING": "running", "SUCCESS": "succeeded", "FATAL": "failed", "CANCELLED": "cancelled"}
WAITING_FOR_RETRY = "waiting for retry"


def status(action: Action, now: datetime) -> str:
    """Return the action's status as pages call it."""
    backing_off = action.state == State.NEW and action.attempt and action.ready_at > now
    return WAITING_FOR_RETRY if backing_off else STATUSES[action.state]


@dataclass(frozen=True)
class Interval:
    """One stretch of an action's time: `end` is None while it lasts, `attempt` counts from 1, `holder` is a pack."""

    span: Span
    attempt: int
    start: datetime
    end: datetime | None
    ended_with: End
    holder: str = ""

    def length(self, now: datetime) -> timedelta:
        """How long it lasted, or has lasted by now; never less than nothing, whatever the clocks of servers say."""
        return max((self.end or now) - self.start, timedelta(0))


@dataclass(frozen=True)
class _Entry:
    value: str
    time: datetime


def intervals(action: Action) -> list[Interval]:
    """The action's time from when it was queued, in order and without gaps. What is done has an end and nothing after.

    Needs `states`; holders of earlier attempts and leases that ended are told where `history` is loaded too.
    """
    entries = [_Entry(entry["value"], from_text(entry["time"])) for entry in action.states]
    past = _past_attempts(action)
    found: list[Interval] = []
    attempt = 0
    for place, entry in enumerate(entries):
        following = entries[place + 1] if place + 1 < len(entries) else None
        attempt += entry.value == State.PENDING
        if following or entry.value in (State.NEW, State.PENDING):
            found.append(_interval(entry, following, attempt, action, past))
    return found


def _interval(
    entry: _Entry, following: _Entry | None, attempt: int, action: Action, past: dict[int, tuple[str, bool]]
) -> Interval:
    end = following.time if following else None
    if entry.value == State.NEW:
        ended = End.OPEN if following is None else End.CANCELLED if following.value == State.CANCELLED else End.TAKEN
        return Interval(Span.WAITING, attempt + 1, entry.time, end, ended)
    if entry.value != State.PENDING:
        return Interval(Span.ENDED, attempt, entry.time, end, End.TRIED_AGAIN)
    holder, lease_ended = past.get(attempt, ("", False))
    ended = _end_of_hold(following, lease_ended)
    return Interval(Span.HELD, attempt, entry.time, end, ended, holder or _last_holder(action, attempt))


def _end_of_hold(following: _Entry | None, lease_ended: bool) -> End:
    if following is None:
        return End.OPEN
    if lease_ended and following.value != State.CANCELLED:
        return End.LEASE_ENDED
    return End.TRIED_AGAIN if following.value == State.NEW else End(following.value)


def _past_attempts(action: Action) -> dict[int, tuple[str, bool]]:
    """Of attempts that did not end the action: who had it, and whether the lease ended. Late results tell neither."""
    if "history" in action.get_deferred_fields():
        return {}
    return {
        entry["attempt"]: (entry["packId"], bool(entry.get("leaseEnded")))
        for entry in action.history
        if not entry.get("late")
    }


def _last_holder(action: Action, attempt: int) -> str:
    return action.holder if attempt == action.attempt else ""


def worked(found: Sequence[Interval], now: datetime) -> timedelta:
    """How long packs had the action, all attempts together."""
    return sum((one.length(now) for one in found if one.span is Span.HELD), timedelta(0))
