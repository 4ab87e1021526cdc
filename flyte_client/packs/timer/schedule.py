"""Schedules of timers; the ticks are the same in all instances of the pack."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from flyte_time.cron import parse_cron

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimerSchedule(Protocol):
    """A sequence of ticks in UTC."""

    def next(self, after: datetime) -> datetime | None:
        """Return the first tick later than `after`, or None."""


@dataclass(frozen=True)
class IntervalSchedule:
    """Ticks every `seconds`, counted from 1970, so that all instances agree."""

    seconds: int

    def next(self, after: datetime) -> datetime | None:
        elapsed = (after - EPOCH) // timedelta(seconds=self.seconds)
        return EPOCH + timedelta(seconds=(elapsed + 1) * self.seconds)


@dataclass(frozen=True)
class CronSchedule:
    """A cron expression with five fields in a time zone. Raises `ValueError` if the expression is invalid.

    When clocks go forward, a skipped time ticks at the change. When clocks go back, a repeated time ticks only the
    first time, unless its hour field has a `*`.
    """

    expression: str
    timezone: ZoneInfo

    def __post_init__(self) -> None:
        parse_cron(self.expression)

    def next(self, after: datetime) -> datetime | None:
        return parse_cron(self.expression).find_next(after, self.timezone)


def iter_ticks(schedule: TimerSchedule, after: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the ticks later than `after` up to `end`, in order."""
    tick = schedule.next(after)
    while tick is not None and tick <= end:
        yield tick
        tick = schedule.next(tick)
