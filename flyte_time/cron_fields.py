"""The fields of cron expressions: lists of values, ranges and steps."""

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_WEEKDAYS = {name: number for number, name in enumerate(_WEEKDAY_NAMES)}
_WEEKDAY_PATTERN = re.compile(r"(?P<weekday>[0-9]{1,2}|[A-Z]{3})(?:#(?P<number>[0-9]{1,2})|(?P<last>L))\Z")
MAX_DIGITS = 4


class FieldType(NamedTuple):
    """The smallest and largest value of a field, and the names of values."""

    minimum: int
    maximum: int
    names: Mapping[str, int] = {}


FIELD_TYPES = {
    "second": FieldType(0, 59),
    "minute": FieldType(0, 59),
    "hour": FieldType(0, 23),
    "day of month": FieldType(1, 31),
    "month": FieldType(1, 12, _MONTHS),
    "weekday": FieldType(0, 7, _WEEKDAYS),
    "year": FieldType(1970, 2099),
}


@dataclass(frozen=True, slots=True)
class DayPattern:
    """The fields for days. Both must match if one has a `*`, otherwise one of them is enough.

    days, weekdays: the values that the fields allow; Sunday is 0. last_day: also the last day of the month. numbered:
    also the nth such weekday of the month, as (weekday, n). last_weekdays: also the last such weekday of the month.
    """

    days: frozenset[int]
    last_day: bool
    weekdays: frozenset[int]
    numbered: frozenset[tuple[int, int]]
    last_weekdays: frozenset[int]
    requires_both: bool

    def matches_date(self, day: date) -> bool:
        """Return whether the date matches."""
        length = monthrange(day.year, day.month)[1]
        matches_day = day.day in self.days or (self.last_day and day.day == length)
        if matches_day is not self.requires_both:
            return matches_day
        weekday = day.isoweekday() % 7
        return (
            weekday in self.weekdays
            or (weekday, (day.day - 1) // 7 + 1) in self.numbered
            or (weekday in self.last_weekdays and day.day > length - 7)
        )


def parse_field(name: str, text: str) -> frozenset[int]:
    """Parse a field of comma-separated items. Raise `ValueError`."""
    return frozenset(value for item in text.split(",") for value in _iter_values(name, item))


def parse_days(day: str, weekday: str) -> DayPattern:
    """Parse the day of month and the weekday. Raise `ValueError`."""
    requires_both = "*" in day + weekday or "?" in (day, weekday)
    day, weekday = ("*" if text == "?" else text for text in (day, weekday))
    day_items = day.split(",")
    plain_weekdays: set[int] = set()
    numbered: set[tuple[int, int]] = set()
    last_weekdays: set[int] = set()
    for item in weekday.split(","):
        match = _WEEKDAY_PATTERN.match(item)
        if match is None:
            plain_weekdays |= {value % 7 for value in _iter_values("weekday", item)}
        elif match["last"]:
            last_weekdays.add(_parse_value("weekday", match["weekday"]) % 7)
        else:
            numbered.add((_parse_value("weekday", match["weekday"]) % 7, _parse_number(item, match["number"])))
    return DayPattern(
        days=frozenset(value for item in day_items if item != "L" for value in _iter_values("day of month", item)),
        last_day="L" in day_items,
        weekdays=frozenset(plain_weekdays),
        numbered=frozenset(numbered),
        last_weekdays=frozenset(last_weekdays),
        requires_both=requires_both,
    )


def _parse_number(item: str, text: str) -> int:
    if not 1 <= int(text) <= 5:
        raise ValueError(f"weekday: {item} is invalid, a month has at most 5 of each weekday")
    return int(text)


def _iter_values(name: str, item: str) -> Iterator[int]:
    """Yield the values of `*`, `5`, `1-5`, `*/2`, `1-9/2` or `5/15`."""
    field_type = FIELD_TYPES[name]
    base, slash, step_text = item.partition("/")
    step = _parse_step(name, item, step_text) if slash else 1
    if base == "*":
        # 7 is Sunday again.
        first, last = field_type.minimum, 6 if name == "weekday" else field_type.maximum
    else:
        first_text, dash, last_text = base.partition("-")
        first = _parse_value(name, first_text)
        last = _parse_last(name, base, first, last_text) if dash else field_type.maximum if slash else first
        if not dash and slash and name == "weekday":
            last = 6
    yield from range(first, last + 1, step)


def _parse_step(name: str, item: str, text: str) -> int:
    if not _is_number(text) or int(text) == 0:
        raise ValueError(f"{name}: the step of {item!r} must be a number from 1")
    return int(text)


def _parse_last(name: str, item: str, first: int, text: str) -> int:
    last = 7 if name == "weekday" and text == "SUN" and first else _parse_value(name, text)
    if last < first:
        field_type = FIELD_TYPES[name]
        maximum = 6 if name == "weekday" else field_type.maximum
        raise ValueError(f"{name}: {item} runs backwards, use {first}-{maximum},{field_type.minimum}-{last}")
    return last


def _parse_value(name: str, text: str) -> int:
    field_type = FIELD_TYPES[name]
    value = int(text) if _is_number(text) else field_type.names.get(text)
    if value is None or not field_type.minimum <= value <= field_type.maximum:
        names = f", or a name such as {next(iter(field_type.names))}" if field_type.names else ""
        raise ValueError(
            f"{name}: {text[:20]!r} is not a number from {field_type.minimum} to {field_type.maximum}{names}"
        )
    return value


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
