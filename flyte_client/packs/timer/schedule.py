"""Schedules of timers; the ticks are the same in all instances of the pack."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from flyte_client.packs.common.optional_import import require_extra

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# croniter's other syntax (random and hashed fields) would give each instance different times.
CRON_FIELD = re.compile(r"(?:[0-9*,/-]|SUN|MON|TUE|WED|THU|FRI|SAT|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)+\Z")
MAX_EXPRESSION_LENGTH = 200


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
    """A cron expression with five fields in a time zone.

    When clocks go forward, a skipped time ticks at the change. When clocks go back, a repeated time ticks only the
    first time, unless its hour field has a `*`.
    """

    expression: str
    timezone: ZoneInfo

    def __post_init__(self) -> None:
        with require_extra("timer"):
            from croniter import croniter  # type: ignore[import-untyped]  # noqa: PLC0415
        fields = self.expression.upper().split()
        is_valid = (
            len(self.expression) <= MAX_EXPRESSION_LENGTH and len(fields) == 5 and all(map(CRON_FIELD.match, fields))
        )
        if not is_valid or not croniter.is_valid(self.expression):
            raise ValueError(f"invalid cron expression {self.expression[:60]!r}, use five fields such as 0 9 * * MON")

    def next(self, after: datetime) -> datetime | None:
        from croniter import CroniterBadDateError, croniter  # noqa: PLC0415

        times = croniter(self.expression, after.astimezone(self.timezone))
        while True:
            try:
                tick: datetime = times.get_next(datetime).astimezone(UTC)
            except CroniterBadDateError:
                return None
            if not self._is_repeated(tick):
                return tick

    def _is_repeated(self, tick: datetime) -> bool:
        return tick.astimezone(self.timezone).fold == 1 and "*" not in self.expression.split()[1]


def iter_ticks(schedule: TimerSchedule, after: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the ticks later than `after` up to `end`, in order."""
    tick = schedule.next(after)
    while tick is not None and tick <= end:
        yield tick
        tick = schedule.next(tick)
