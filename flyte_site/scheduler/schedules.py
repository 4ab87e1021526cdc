"""When a job is due, as pure functions of the time.

A timing cuts time into ticks and names the tick that a moment belongs to; a job runs once a tick. `wake_seconds` is how
often to look whether a new tick has begun: more than once a tick, so that clocks that differ a little and messages that
come late skip none.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Protocol

# A run that was missed is made up for within this time; after a longer absence packs first get the time to be seen.
MISFIRE_GRACE = timedelta(hours=6)
MAX_POLL_SECONDS = 10.0


class JobSchedule(Protocol):
    """What `Every` and `Daily` have in common."""

    def period_start(self, now: datetime) -> datetime:
        """The name of the tick that `now` is in."""

    def is_within_grace(self, now: datetime) -> bool:
        """Whether the tick that `now` is in may still be begun."""

    @property
    def poll_interval(self) -> float: ...


@dataclass(frozen=True)
class FixedIntervalSchedule:
    """Once in every `seconds`, counted from 1970 on, so that all processes agree."""

    seconds: int

    def period_start(self, now: datetime) -> datetime:
        return datetime.fromtimestamp(now.timestamp() // self.seconds * self.seconds, UTC)

    def is_within_grace(self, now: datetime) -> bool:
        return True

    @property
    def poll_interval(self) -> float:
        return min(self.seconds / 2, MAX_POLL_SECONDS)

    def __str__(self) -> str:
        return f"every {self.seconds} s"


@dataclass(frozen=True)
class DailySchedule:
    """Once a day of the calendar of `zone`, from `at` o'clock on.

    Where clocks are set forward over `at`, that is after they have been; where that hour comes twice, the first counts.
    """

    at: time
    zone: tzinfo

    def period_start(self, now: datetime) -> datetime:
        return datetime.combine(self._last_due_at(now).astimezone(self.zone).date(), time(), UTC)

    def is_within_grace(self, now: datetime) -> bool:
        return now - self._last_due_at(now) <= MISFIRE_GRACE

    def _last_due_at(self, now: datetime) -> datetime:
        """When that hour last came."""
        today = now.astimezone(self.zone).date()
        days = (today - timedelta(days=days_ago) for days_ago in range(3))  # a zone may once have left a day out
        due_times = (datetime.combine(day, self.at, self.zone).astimezone(UTC) for day in days)
        return next(due_time for due_time in due_times if due_time <= now)

    @property
    def poll_interval(self) -> float:
        return MAX_POLL_SECONDS

    def __str__(self) -> str:
        return f"daily at {self.at:%H:%M} ({self.zone})"
