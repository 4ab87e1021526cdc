"""Cron expressions, as crontab(5) defines them: minute, hour, day of month, month, weekday.

Also accepted: `@daily` and its relatives, `?` for `*` in a day field, `L` (the last day of the month), `5L` (the last
Friday), `5#1` (the first Friday), and `5/15` for `5-59/15`.
"""

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from flyte_time.cron_fields import DayPattern, parse_days, parse_field

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MAX_EXPRESSION_LENGTH = 500
# These 28 years contain every calendar: each weekday of 1 January, in leap years and others.
_ALL_KINDS_OF_YEARS = range(2001, 2029)
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CronExpression:
    """The values that each field allows. seconds, years: None if the expression has no such field.

    ticks_each_hour: the hour field has a `*`. Then clock changes neither move nor suppress ticks.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: DayPattern
    months: frozenset[int]
    ticks_each_hour: bool
    seconds: frozenset[int] | None = None
    years: frozenset[int] | None = None

    def matches(self, moment: datetime) -> bool:
        """Return whether the expression matches the time, in the time's own zone."""
        return (
            (self.seconds is None or moment.second in self.seconds)
            and moment.minute in self.minutes
            and moment.hour in self.hours
            and self._matches_date(moment)
        )

    def find_next(self, after: datetime, zone: tzinfo) -> datetime | None:
        """Return the first tick later than `after` as a UTC time, or None after the year 9999.

        As crontab(5) requires, a time that a clock change skips ticks at the change, and a time that it repeats ticks
        only the first time. An expression with a `*` in the hour field ignores clock changes: it neither ticks at
        skipped times, nor leaves out repeated ones. Fields for seconds are ignored.
        """
        try:
            return self._find_next_regular(after, zone) if self.ticks_each_hour else self._find_next_once(after, zone)
        except (OverflowError, ValueError):
            return None

    def _find_next_once(self, after: datetime, zone: tzinfo) -> datetime | None:
        local_times = self._iter_local_times(_to_local_minute(after, zone))
        return next((tick for tick in (_to_utc(local, zone) for local in local_times) if tick > after), None)

    def _find_next_regular(self, after: datetime, zone: tzinfo) -> datetime | None:
        start = after.astimezone(UTC).replace(second=0, microsecond=0)
        local = last_excluded = _to_local_minute(start, zone)
        while True:
            next_local = next(self._iter_local_times(last_excluded), None)
            if next_local is None:
                return None
            tick = start + (next_local - local)
            horizon = min(tick, start + _DAY)
            if _get_offset(horizon, zone) != _get_offset(start, zone):
                start = _find_change(start, horizon, zone)
                local = _to_local_minute(start, zone)
                last_excluded = local - _MINUTE
            elif tick == horizon:
                return tick
            else:
                start = tick - _DAY
                local = last_excluded = _to_local_minute(start, zone)

    def _iter_local_times(self, after: datetime) -> Iterator[datetime]:
        """Yield the matching minutes later than `after`, without a zone."""
        for day in self._iter_dates(after.date()):
            excluded = (after.hour, after.minute) if day == after.date() else (-1, -1)
            for hour in self.hours[bisect_left(self.hours, excluded[0]) :]:
                for minute in self.minutes:
                    if (hour, minute) > excluded:
                        yield datetime.combine(day, time(hour, minute))

    def _iter_dates(self, start: date) -> Iterator[date]:
        day = start
        while True:
            if day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
                continue
            if self._matches_date(day):
                yield day
            day += _DAY

    def _matches_date(self, day: date) -> bool:
        return (
            day.month in self.months and (self.years is None or day.year in self.years) and self.days.matches_date(day)
        )

    def can_match(self) -> bool:
        """Return whether any date matches. 30 February never does."""
        years = _ALL_KINDS_OF_YEARS if self.years is None else sorted(self.years)
        return any(
            self._matches_date(day) for year in years for month in self.months for day in _iter_month(year, month)
        )


@lru_cache(maxsize=256)
def parse_cron(expression: str, *, allow_seconds_and_year: bool = False) -> CronExpression:
    """Parse an expression. Raise `ValueError`, with the reason, if it is invalid or can never match.

    allow_seconds_and_year: a sixth field is the year, and the first of seven is the second.
    """
    try:
        if len(expression) > MAX_EXPRESSION_LENGTH:
            raise ValueError(f"it has more than {MAX_EXPRESSION_LENGTH} characters")
        parsed = _parse_fields(_split_fields(expression, allow_seconds_and_year))
        if not parsed.can_match():
            raise ValueError("no month has such a day, so it never matches")
    except ValueError as error:
        raise ValueError(f"invalid cron expression {expression[:60]!r}: {error}") from None
    return parsed


def _split_fields(expression: str, allow_seconds_and_year: bool) -> list[str]:
    text = expression.strip()
    if text.startswith("@"):
        if text.lower() not in MACROS:
            raise ValueError(f"use one of {', '.join(MACROS)}, or five fields")
        text = MACROS[text.lower()]
    fields = text.upper().split()
    if len(fields) == 5 or (allow_seconds_and_year and len(fields) in (6, 7)):
        return fields
    hint = "" if len(fields) < 6 or allow_seconds_and_year else "; seconds and years are not supported"
    count = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
    raise ValueError(f"it has {count}, not five: minute, hour, day of month, month, weekday{hint}")


def _parse_fields(fields: list[str]) -> CronExpression:
    second = fields.pop(0) if len(fields) == 7 else None
    year = fields.pop() if len(fields) == 6 else None
    minute, hour, day, month, weekday = fields
    return CronExpression(
        minutes=tuple(sorted(parse_field("minute", minute))),
        hours=tuple(sorted(parse_field("hour", hour))),
        days=parse_days(day, weekday),
        months=parse_field("month", month),
        ticks_each_hour="*" in hour,
        seconds=parse_field("second", second) if second else None,
        years=parse_field("year", year) if year and year != "*" else None,
    )


def _iter_month(year: int, month: int) -> Iterator[date]:
    return (date(year, month, day) for day in range(1, monthrange(year, month)[1] + 1))


def _to_local_minute(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(second=0, microsecond=0, tzinfo=None)


def _get_offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _to_utc(local: datetime, zone: tzinfo) -> datetime:
    """Return the instant of a local time: of a repeated time, the first one; of a skipped time, the clock change."""
    with_zone = local.replace(tzinfo=zone)
    instant = with_zone.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    return _find_change(with_zone.replace(fold=1).astimezone(UTC), instant, zone)


def _find_change(start: datetime, end: datetime, zone: tzinfo) -> datetime:
    """Return the second at which the zone's offset changes, later than `start` and not later than `end`."""
    offset, low, high = _get_offset(start, zone), 0, int((end - start).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if _get_offset(start + timedelta(seconds=middle), zone) == offset:
            low = middle
        else:
            high = middle
    return start + timedelta(seconds=high)
