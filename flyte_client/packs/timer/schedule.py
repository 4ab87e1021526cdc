"""When a timer ticks: the same times for everybody who asks, whenever they ask."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from flyte_client.packs.common.optional_import import require_extra

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What croniter reads beyond these (random and hashed fields) would give every instance times of its own.
CRON_FIELD = re.compile(r"(?:[0-9*,/-]|SUN|MON|TUE|WED|THU|FRI|SAT|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)+\Z")
MAX_EXPRESSION_LENGTH = 200


class TimerSchedule(Protocol):
    """Times are in UTC."""

    def next(self, after: datetime) -> datetime | None:
        """The first tick later than `after`; None where there is none."""


@dataclass(frozen=True)
class IntervalSchedule:
    """Every so many seconds, counted from 1970, so that all instances agree."""

    seconds: int

    def next(self, after: datetime) -> datetime | None:
        elapsed = (after - EPOCH) // timedelta(seconds=self.seconds)
        return EPOCH + timedelta(seconds=(elapsed + 1) * self.seconds)


@dataclass(frozen=True)
class CronSchedule:
    """A cron expression of five fields, in a time zone.

    Where clocks are put forward, a time that is left out ticks when the clocks are put forward. Where they are put
    back, a time that comes twice ticks the first time only, unless its hours are given by a `*`.
    """

    expression: str
    timezone: ZoneInfo

    def __post_init__(self) -> None:
        with require_extra("timer"):
            from croniter import croniter  # type: ignore[import-untyped]
        fields = self.expression.upper().split()
        is_valid = (
            len(self.expression) <= MAX_EXPRESSION_LENGTH and len(fields) == 5 and all(map(CRON_FIELD.match, fields))
        )
        if not is_valid or not croniter.is_valid(self.expression):
            raise ValueError(f"{self.expression[:60]!r} is not a cron expression of five fields")

    def next(self, after: datetime) -> datetime | None:
        from croniter import CroniterBadDateError, croniter

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
    """The ticks later than `after` up to `until`, in their order."""
    tick = schedule.next(after)
    while tick is not None and tick <= end:
        yield tick
        tick = schedule.next(tick)
