"""Times: formatting by Go layouts or Django's format letters, and the attributes that templates read.

Go's layouts are documented at https://pkg.go.dev/time#pkg-constants.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from django.utils import dateformat

from flows.template.errors import OperationError
from flows.template.limits import MAX_LAYOUT_LENGTH

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class _FixedZone(tzinfo):
    """The zone of a time, with the offset and the name that it has at this time."""

    def __init__(self, moment: datetime) -> None:
        self._offset, self._saving, self._name = moment.utcoffset(), moment.dst(), moment.tzname()

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return self._offset

    def dst(self, moment: datetime | None) -> timedelta | None:
        return self._saving

    def tzname(self, moment: datetime | None) -> str | None:
        return self._name


def make_aware(moment: datetime) -> datetime:
    """Return the time with a zone: UTC if it has none."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def format_rfc3339(moment: datetime) -> str:
    """Format a time for JSON: `2019-05-06T07:08:09.5Z`."""
    return format_go(moment, "2006-01-02T15:04:05.999999999Z07:00")


def format_go_default(moment: datetime) -> str:
    """Format a time as the original prints it: `2019-05-06 07:08:09.5 +0000 UTC`."""
    return format_go(moment, "2006-01-02 15:04:05.999999999 -0700 MST")


def _format_offset(moment: datetime, separator: str, with_seconds: bool = False, with_minutes: bool = True) -> str:
    total = int((moment.utcoffset() or timedelta()).total_seconds())
    sign, total = ("-", -total) if total < 0 else ("+", total)
    text = f"{sign}{total // 3600:02d}"
    if with_minutes:
        text += f"{separator}{total // 60 % 60:02d}"
    return f"{text}{separator}{total % 60:02d}" if with_seconds else text


def _get_zone_name(moment: datetime) -> str:
    if not moment.utcoffset():
        return "UTC" if isinstance(moment.tzinfo, timezone) else moment.tzname() or "UTC"
    return (
        _format_offset(moment, "")
        if isinstance(moment.tzinfo, timezone)
        else moment.tzname() or _format_offset(moment, "")
    )


def _make_z_formatter(
    separator: str, with_seconds: bool = False, with_minutes: bool = True
) -> Callable[[datetime], str]:
    return lambda t: _format_offset(t, separator, with_seconds, with_minutes) if t.utcoffset() else "Z"


def _make_fraction_formatter(element: str) -> Callable[[datetime], str]:
    separator, digits = element[0], len(element) - 1
    if element[1] == "0":
        return lambda t: separator + f"{t.microsecond:06d}"[:digits].ljust(digits, "0")

    def format_trimmed(moment: datetime) -> str:
        text = f"{moment.microsecond:06d}"[:digits].rstrip("0")
        return separator + text if text else ""

    return format_trimmed


_ELEMENT_FORMATTERS: dict[str, Callable[[datetime], str]] = {
    "January": lambda t: _MONTHS[t.month - 1],
    "Jan": lambda t: _MONTHS[t.month - 1][:3],
    "Monday": lambda t: _DAYS[t.weekday()],
    "Mon": lambda t: _DAYS[t.weekday()][:3],
    "MST": _get_zone_name,
    "01": lambda t: f"{t.month:02d}",
    "02": lambda t: f"{t.day:02d}",
    "03": lambda t: f"{(t.hour - 1) % 12 + 1:02d}",
    "04": lambda t: f"{t.minute:02d}",
    "05": lambda t: f"{t.second:02d}",
    "06": lambda t: f"{t.year % 100:02d}",
    "002": lambda t: f"{t.timetuple().tm_yday:03d}",
    "1": lambda t: str(t.month),
    "15": lambda t: f"{t.hour:02d}",
    "2006": lambda t: f"{t.year:04d}",
    "_2006": lambda t: f"_{t.year:04d}",
    "2": lambda t: str(t.day),
    "_2": lambda t: f"{t.day:2d}",
    "__2": lambda t: f"{t.timetuple().tm_yday:3d}",
    "3": lambda t: str((t.hour - 1) % 12 + 1),
    "4": lambda t: str(t.minute),
    "5": lambda t: str(t.second),
    "PM": lambda t: "PM" if t.hour >= 12 else "AM",
    "pm": lambda t: "pm" if t.hour >= 12 else "am",
    "-0700": lambda t: _format_offset(t, ""),
    "-07:00": lambda t: _format_offset(t, ":"),
    "-07": lambda t: _format_offset(t, "", with_minutes=False),
    "-070000": lambda t: _format_offset(t, "", with_seconds=True),
    "-07:00:00": lambda t: _format_offset(t, ":", with_seconds=True),
    "Z0700": _make_z_formatter(""),
    "Z07:00": _make_z_formatter(":"),
    "Z07": _make_z_formatter("", with_minutes=False),
    "Z070000": _make_z_formatter("", with_seconds=True),
    "Z07:00:00": _make_z_formatter(":", with_seconds=True),
}
_ELEMENT_PATTERN = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|__2|_2006|_2|2006|2|3|4|5|PM|pm"
    r"|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07"
    r"|[.,]0+(?![0-9])|[.,]9+(?![0-9])"
)


def _check_layout(layout: str) -> None:
    if len(layout) > MAX_LAYOUT_LENGTH:
        raise OperationError(f"layout is too long (more than {MAX_LAYOUT_LENGTH:,} characters)")


# Of https://docs.djangoproject.com/en/5.2/ref/templates/builtins/#date
_DJANGO_LETTERS = frozenset("aAbcdDeEfFgGhHiIjlLmMnNoOPrsStTuUwWyYzZ")


@lru_cache(maxsize=256)
def _parse_go_layout(layout: str) -> tuple[tuple[str, Callable[[datetime], str] | None], ...]:
    parts: list[tuple[str, Callable[[datetime], str] | None]] = []
    position = 0
    for match in _ELEMENT_PATTERN.finditer(layout):
        parts.append((layout[position : match.start()], None))
        element = match.group()
        parts.append((element, _ELEMENT_FORMATTERS.get(element) or _make_fraction_formatter(element)))
        position = match.end()
    parts.append((layout[position:], None))
    return tuple(part for part in parts if part[0])


def format_go(moment: datetime, layout: str) -> str:
    """Format the time in a Go layout such as `2006-01-02 15:04`. Raises OperationError if the layout is too long."""
    _check_layout(layout)
    moment = make_aware(moment)
    return "".join(
        text if format_element is None else format_element(moment) for text, format_element in _parse_go_layout(layout)
    )


def format_go_or_django(moment: datetime, layout: str) -> str:
    """Format the time in a Go layout or, if it contains no Go element, in Django's format letters."""
    _check_layout(layout)
    if any(format_element is not None for _, format_element in _parse_go_layout(layout)):
        return format_go(moment, layout)
    # For Django, the hour that a clock change repeats has no zone; the offset of this time is known.
    moment = make_aware(moment)
    return str(dateformat.format(moment.replace(tzinfo=_FixedZone(moment)), layout))


def is_time_layout(layout: str) -> bool:
    """Return whether `{% now %}` replaces anything in the layout: parts of Go's reference time, or Django's letters.

    Text with any other letter, such as `fake`, is printed unchanged, as in the original.
    """
    has_go_element = any(format_element is not None for _, format_element in _parse_go_layout(layout))
    letters = re.findall(r"(?<!\\)[A-Za-z]", layout)
    return has_go_element or (bool(letters) and _DJANGO_LETTERS.issuperset(letters))


def to_unix_seconds(moment: datetime) -> int:
    """Return whole seconds since 1970."""
    return (make_aware(moment) - _EPOCH) // timedelta(seconds=1)


# Attributes of a time in templates, such as `Event.CreatedAt.Unix`; only Format takes an argument.
TIME_ATTRIBUTES: dict[str, Callable[[datetime], object]] = {
    "Unix": to_unix_seconds,
    "UnixNano": lambda t: (make_aware(t) - _EPOCH) // timedelta(microseconds=1) * 1000,
    "Year": lambda t: t.year,
    "Month": lambda t: t.month,
    "Day": lambda t: t.day,
    "Hour": lambda t: t.hour,
    "Minute": lambda t: t.minute,
    "Second": lambda t: t.second,
    "Nanosecond": lambda t: t.microsecond * 1000,
    "Weekday": lambda t: t.isoweekday() % 7,
    "YearDay": lambda t: t.timetuple().tm_yday,
    "UTC": lambda t: make_aware(t).astimezone(UTC),
    "IsZero": lambda t: make_aware(t) == datetime(1, 1, 1, tzinfo=UTC),
    "String": format_go_default,
}
