"""Schedules of periodic jobs, as pure functions of the time.

A schedule divides time into periods; a job runs once per period. `poll_interval` is the number of seconds between
checks for a new period: fewer than a period has, so that no period is skipped if clocks differ or messages are late.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Protocol

# A missed run is started within this time. After a longer downtime, packs first need time to report again.
MISFIRE_GRACE = timedelta(hours=6)
MAX_POLL_SECONDS = 10.0
MIN_SKEW_SECONDS = 60


class JobSchedule(Protocol):
    """The interface of schedules."""

    def period_start(self, now: datetime) -> datetime:
        """Return the start of the period that contains `now`."""

    def is_within_grace(self, now: datetime) -> bool:
        """Return True if a run of the current period can still start."""

    @property
    def poll_interval(self) -> float: ...

    @property
    def max_skew(self) -> timedelta:
        """Return how far a stored period can be ahead of the clock; one further ahead was stored with a wrong clock."""


@dataclass(frozen=True)
class FixedIntervalSchedule:
    """A schedule with one run in every interval of `seconds`, counted from 1970, so that all processes agree."""

    seconds: int

    def period_start(self, now: datetime) -> datetime:
        return datetime.fromtimestamp(now.timestamp() // self.seconds * self.seconds, UTC)

    def is_within_grace(self, now: datetime) -> bool:
        return True

    @property
    def poll_interval(self) -> float:
        return min(self.seconds / 2, MAX_POLL_SECONDS)

    @property
    def max_skew(self) -> timedelta:
        return timedelta(seconds=MIN_SKEW_SECONDS)

    def __str__(self) -> str:
        return f"every {self.seconds} s"


@dataclass(frozen=True)
class DailySchedule:
    """A schedule with one run a day, at the time `at` in `zone`.

    If clocks are set forward past `at`, the job is due after the change; if the hour repeats, at its first occurrence.
    """

    at: time
    zone: tzinfo

    def period_start(self, now: datetime) -> datetime:
        return datetime.combine(self._last_due_at(now).astimezone(self.zone).date(), time(), UTC)

    def is_within_grace(self, now: datetime) -> bool:
        return now - self._last_due_at(now) <= MISFIRE_GRACE

    def _last_due_at(self, now: datetime) -> datetime:
        """Return the latest time at which the job was due."""
        today = now.astimezone(self.zone).date()
        days = (today - timedelta(days=days_ago) for days_ago in range(3))  # a zone can skip a day
        due_times = (datetime.combine(day, self.at, self.zone).astimezone(UTC) for day in days)
        return next(due_time for due_time in due_times if due_time <= now)

    @property
    def poll_interval(self) -> float:
        return MAX_POLL_SECONDS

    @property
    def max_skew(self) -> timedelta:
        return timedelta(days=2)

    def __str__(self) -> str:
        return f"daily at {self.at:%H:%M} ({self.zone})"
