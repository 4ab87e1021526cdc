"""Cron expressions, matched to a minute of time.

Five fields: minute, hour, day of month, month, weekday. A sixth is the year, as in the original; with seven, the first
is the second. Where both days are restricted, either may match, as cron does.
"""

import re
from calendar import monthrange
from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from croniter import CroniterError, croniter  # type: ignore[import-untyped]

from flows.lang.errors import RefusedError

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# What croniter reads beyond cron (random and hashed fields) would make an answer depend on more than the time.
_FIELD = re.compile(r"(?:[0-9*,/#?-]|L|SUN|MON|TUE|WED|THU|FRI|SAT|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)+\Z")
_LAST_WEEKDAY = re.compile(r"(?<![0-9A-Z])([0-7])L")
MAX_EXPRESSION = 500


class Cron(NamedTuple):
    """The values that each field allows; '*' and 'l' (the last day) stand as they are. nth: weekday to its numbers."""

    second: Collection[int | str] | None
    minute: Collection[int | str]
    hour: Collection[int | str]
    day: Collection[int | str]
    month: Collection[int | str]
    weekday: Collection[int | str]
    nth: dict[int, set[int | str]]
    year: Collection[int | str]


@lru_cache(maxsize=256)
def read_cron(expression: str) -> Cron:
    """The expression, read. Raises RefusedError when it is none."""
    fields = _ALIASES.get(expression.strip().lower(), expression[: MAX_EXPRESSION + 1]).upper().split()
    if len(expression) > MAX_EXPRESSION or not 5 <= len(fields) <= 7 or not all(map(_FIELD.match, fields)):
        raise RefusedError(f"'{expression[:60]}' is not a cron expression")
    second = fields.pop(0) if len(fields) == 7 else None
    year = fields.pop() if len(fields) == 6 else "*"
    fields[4] = _LAST_WEEKDAY.sub(r"L\1", fields[4])
    try:
        expanded, nth = croniter.expand(" ".join([*fields, second or "0", year]))
    except (CroniterError, ValueError, KeyError, IndexError) as error:
        raise RefusedError(f"'{expression[:60]}' is not a cron expression: {error}") from None
    minute, hour, day, month, weekday, seconds, years = expanded
    return Cron(seconds if second else None, minute, hour, day, month, weekday, nth, years)


def _allows(values: Collection[int | str], value: int) -> bool:
    return "*" in values or value in values


def _allows_weekday(cron: Cron, time: datetime, last: int) -> bool:
    weekday = time.isoweekday() % 7
    if weekday not in cron.weekday:
        return False
    numbers = cron.nth.get(weekday)
    if not numbers:
        return True
    return (time.day - 1) // 7 + 1 in numbers or ("l" in numbers and time.day > last - 7)


def _allows_day(cron: Cron, time: datetime) -> bool:
    last = monthrange(time.year, time.month)[1]
    by_day = time.day in cron.day or ("l" in cron.day and time.day == last)
    by_weekday = _allows_weekday(cron, time, last)
    if "*" in cron.day:
        return "*" in cron.weekday or by_weekday
    return by_day if "*" in cron.weekday else by_day or by_weekday


def matches_cron(cron: Cron, time: datetime) -> bool:
    """Whether the time, as its own clock shows it, is one that the expression names."""
    return (
        (cron.second is None or _allows(cron.second, time.second))
        and _allows(cron.minute, time.minute)
        and _allows(cron.hour, time.hour)
        and _allows(cron.month, time.month)
        and _allows(cron.year, time.year)
        and _allows_day(cron, time)
    )
