"""Cron expressions, matched to a minute of time.

Five fields: minute, hour, day of month, month, weekday. A sixth is the year, as in the original; with seven, the first
is the second. If both day fields are restricted, either may match, as in cron.
"""

import re
from calendar import monthrange
from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from croniter import CroniterError, croniter  # type: ignore[import-untyped]

from flows.template.errors import OperationError

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# croniter's extensions of cron (random and hashed fields) would make a match depend on more than the time.
_FIELD_PATTERN = re.compile(
    r"(?:[0-9*,/#?-]|L|SUN|MON|TUE|WED|THU|FRI|SAT|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)+\Z"
)
_LAST_WEEKDAY_PATTERN = re.compile(r"(?<![0-9A-Z])([0-7])L")
MAX_EXPRESSION_LENGTH = 500


class CronExpression(NamedTuple):
    """The values that each field allows; '*' and 'l' (the last day) are kept. nth: weekday to its numbers."""

    second: Collection[int | str] | None
    minute: Collection[int | str]
    hour: Collection[int | str]
    day: Collection[int | str]
    month: Collection[int | str]
    weekday: Collection[int | str]
    nth: dict[int, set[int | str]]
    year: Collection[int | str]


@lru_cache(maxsize=256)
def parse_cron(expression: str) -> CronExpression:
    """Parse the expression. Raises OperationError if it is invalid."""
    fields = _ALIASES.get(expression.strip().lower(), expression[: MAX_EXPRESSION_LENGTH + 1]).upper().split()
    if (
        len(expression) > MAX_EXPRESSION_LENGTH
        or not 5 <= len(fields) <= 7
        or not all(map(_FIELD_PATTERN.match, fields))
    ):
        raise OperationError(f"'{expression[:60]}' is not a cron expression")
    second = fields.pop(0) if len(fields) == 7 else None
    year = fields.pop() if len(fields) == 6 else "*"
    fields[4] = _LAST_WEEKDAY_PATTERN.sub(r"L\1", fields[4])
    try:
        expanded, nth = croniter.expand(" ".join([*fields, second or "0", year]))
    except (CroniterError, ValueError, KeyError, IndexError) as error:
        raise OperationError(f"'{expression[:60]}' is not a cron expression: {error}") from None
    minute, hour, day, month, weekday, seconds, years = expanded
    return CronExpression(seconds if second else None, minute, hour, day, month, weekday, nth, years)


def _field_matches(allowed_values: Collection[int | str], value: int) -> bool:
    return "*" in allowed_values or value in allowed_values


def _weekday_matches(expression: CronExpression, moment: datetime, last_day: int) -> bool:
    weekday = moment.isoweekday() % 7
    if weekday not in expression.weekday:
        return False
    occurrences = expression.nth.get(weekday)
    if not occurrences:
        return True
    return (moment.day - 1) // 7 + 1 in occurrences or ("l" in occurrences and moment.day > last_day - 7)


def _day_matches(expression: CronExpression, moment: datetime) -> bool:
    last_day = monthrange(moment.year, moment.month)[1]
    matches_day = moment.day in expression.day or ("l" in expression.day and moment.day == last_day)
    matches_weekday = _weekday_matches(expression, moment, last_day)
    if "*" in expression.day:
        return "*" in expression.weekday or matches_weekday
    return matches_day if "*" in expression.weekday else matches_day or matches_weekday


def matches_cron(expression: CronExpression, moment: datetime) -> bool:
    """Return whether the expression matches the time, in the time's own zone."""
    return (
        (expression.second is None or _field_matches(expression.second, moment.second))
        and _field_matches(expression.minute, moment.minute)
        and _field_matches(expression.hour, moment.hour)
        and _field_matches(expression.month, moment.month)
        and _field_matches(expression.year, moment.year)
        and _day_matches(expression, moment)
    )
