"""Times: RFC 3339 in, Go layouts and Django's format letters out, and the attributes a template may ask for.

Go's layouts are documented at https://pkg.go.dev/time#pkg-constants.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from django.utils import dateformat

from flows.lang.errors import RefusedError
from flows.lang.limits import MAX_LAYOUT

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:(Z)|([+-])(\d\d):(\d\d))\Z", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def parse_rfc3339(text: str) -> datetime | None:
    """The time that `text` names, or None. Digits behind the microseconds are dropped."""
    match = _RFC3339.match(text) if len(text) < 64 else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    microsecond = int((match[7] or "0")[:6].ljust(6, "0"))
    zone = UTC
    if match[8] is None:
        hours, minutes = int(match[10]), int(match[11])
        if hours > 23 or minutes > 59:
            return None
        offset = timedelta(hours=hours, minutes=minutes)
        zone = timezone(-offset if match[9] == "-" else offset) if offset else UTC
    try:
        return datetime(year, month, day, hour, minute, second, microsecond, zone)
    except ValueError:
        return None


def aware(time: datetime) -> datetime:
    """A time without a zone is taken as UTC."""
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def rfc3339(time: datetime) -> str:
    """As JSON shows a time: `2019-05-06T07:08:09.5Z`."""
    return format_go(time, "2006-01-02T15:04:05.999999999Z07:00")


def printed(time: datetime) -> str:
    """As the original prints a time: `2019-05-06 07:08:09.5 +0000 UTC`."""
    return format_go(time, "2006-01-02 15:04:05.999999999 -0700 MST")


def _offset(time: datetime, colon: str, seconds: bool = False, minutes: bool = True) -> str:
    total = int((time.utcoffset() or timedelta()).total_seconds())
    sign, total = ("-", -total) if total < 0 else ("+", total)
    text = f"{sign}{total // 3600:02d}"
    if minutes:
        text += f"{colon}{total // 60 % 60:02d}"
    return f"{text}{colon}{total % 60:02d}" if seconds else text


def _zone_name(time: datetime) -> str:
    if not time.utcoffset():
        return "UTC" if isinstance(time.tzinfo, timezone) else time.tzname() or "UTC"
    return _offset(time, "") if isinstance(time.tzinfo, timezone) else time.tzname() or _offset(time, "")


def _iso_z(colon: str, seconds: bool = False, minutes: bool = True) -> Callable[[datetime], str]:
    return lambda t: _offset(t, colon, seconds, minutes) if t.utcoffset() else "Z"


def _fraction(element: str) -> Callable[[datetime], str]:
    mark, digits = element[0], len(element) - 1
    if element[1] == "0":
        return lambda t: mark + f"{t.microsecond:06d}"[:digits].ljust(digits, "0")

    def shortened(time: datetime) -> str:
        text = f"{time.microsecond:06d}"[:digits].rstrip("0")
        return mark + text if text else ""

    return shortened


_ELEMENTS: dict[str, Callable[[datetime], str]] = {
    "January": lambda t: _MONTHS[t.month - 1],
    "Jan": lambda t: _MONTHS[t.month - 1][:3],
    "Monday": lambda t: _DAYS[t.weekday()],
    "Mon": lambda t: _DAYS[t.weekday()][:3],
    "MST": _zone_name,
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
    "-0700": lambda t: _offset(t, ""),
    "-07:00": lambda t: _offset(t, ":"),
    "-07": lambda t: _offset(t, "", minutes=False),
    "-070000": lambda t: _offset(t, "", seconds=True),
    "-07:00:00": lambda t: _offset(t, ":", seconds=True),
    "Z0700": _iso_z(""),
    "Z07:00": _iso_z(":"),
    "Z07": _iso_z("", minutes=False),
    "Z070000": _iso_z("", seconds=True),
    "Z07:00:00": _iso_z(":", seconds=True),
}
_ELEMENT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|__2|_2006|_2|2006|2|3|4|5|PM|pm"
    r"|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07"
    r"|[.,]0+(?![0-9])|[.,]9+(?![0-9])"
)


def _check_layout(layout: str) -> None:
    if len(layout) > MAX_LAYOUT:
        raise RefusedError(f"the layout is too long (more than {MAX_LAYOUT:,} characters)")


@lru_cache(maxsize=256)
def _go_parts(layout: str) -> tuple[tuple[str, Callable[[datetime], str] | None], ...]:
    parts: list[tuple[str, Callable[[datetime], str] | None]] = []
    position = 0
    for match in _ELEMENT.finditer(layout):
        parts.append((layout[position : match.start()], None))
        element = match.group()
        parts.append((element, _ELEMENTS.get(element) or _fraction(element)))
        position = match.end()
    parts.append((layout[position:], None))
    return tuple(part for part in parts if part[0])


def format_go(time: datetime, layout: str) -> str:
    """The time in a Go layout such as `2006-01-02 15:04`. Raises RefusedError for an endless layout."""
    _check_layout(layout)
    time = aware(time)
    return "".join(text if write is None else write(time) for text, write in _go_parts(layout))


def format_any(time: datetime, layout: str) -> str:
    """The time in a Go layout or, where the layout holds no element of one, in Django's format letters."""
    _check_layout(layout)
    if any(write is not None for _, write in _go_parts(layout)):
        return format_go(time, layout)
    return str(dateformat.format(aware(time), layout))


def unix(time: datetime) -> int:
    """Whole seconds since 1970."""
    return (aware(time) - _EPOCH) // timedelta(seconds=1)


# What a template may ask of a time, `Event.CreatedAt.Unix`; all but Format take no argument.
TIME_ATTRIBUTES: dict[str, Callable[[datetime], object]] = {
    "Unix": unix,
    "UnixNano": lambda t: (aware(t) - _EPOCH) // timedelta(microseconds=1) * 1000,
    "Year": lambda t: t.year,
    "Month": lambda t: t.month,
    "Day": lambda t: t.day,
    "Hour": lambda t: t.hour,
    "Minute": lambda t: t.minute,
    "Second": lambda t: t.second,
    "Nanosecond": lambda t: t.microsecond * 1000,
    "Weekday": lambda t: t.isoweekday() % 7,
    "YearDay": lambda t: t.timetuple().tm_yday,
    "UTC": lambda t: aware(t).astimezone(UTC),
    "IsZero": lambda t: aware(t) == datetime(1, 1, 1, tzinfo=UTC),
    "String": printed,
}
