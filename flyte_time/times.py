"""Times as text or numbers, in the formats that programs and protocols print.

RFC 3339 and ISO 8601, RFC 2822 and HTTP, Go, JavaScript, `date`, `git log` and OpenSSL, and numbers of seconds or
milliseconds since 1970.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

MAX_TEXT_LENGTH = 100
TIME_EXAMPLES = "2026-11-21T05:30:00Z, 'Sat, 21 Nov 2026 05:30:00 +0000' or 1795239000"
# From here on, a number counts milliseconds, then microseconds and nanoseconds: seconds would be after the year 5000.
_MIN_MILLISECONDS, _MIN_MICROSECONDS, _MIN_NANOSECONDS = 10**11, 10**14, 10**17
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# The names that RFC 2822 defines, and those of European zones, with their hours from UTC. Others have several meanings.
_ZONE_HOURS = {
    "z": 0, "utc": 0, "gmt": 0, "ut": 0,
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
    "wet": 0, "west": 1, "cet": 1, "cest": 2, "eet": 2, "eest": 3,
}  # fmt: skip
_SECOND = r"(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?"
_CLOCK = rf"(?P<hour>\d\d|\d(?=:)):?(?P<minute>\d\d)(?::?{_SECOND})?"
_CLOCK_WITH_COLONS = rf"(?P<hour>\d\d?):(?P<minute>\d\d)(?::{_SECOND})?"
# JavaScript prints `GMT+0200`. After a numeric offset, Go and `date` may print the zone's name.
_OFFSET = r"(?:gmt|utc)?(?P<sign>[+-])(?P<zone_hour>\d\d)(?::?(?P<zone_minute>\d\d))?"
_ZONE = rf"(?: ?(?:{_OFFSET}(?: [a-z]{{1,5}}| [+-]\d\d(?:\d\d)?)?|(?P<zone_name>[a-z]{{1,5}})))?"
# Mail programs and JavaScript add the zone's name as a comment.
_COMMENT_PATTERN = re.compile(r" ?\([^()]*\)\Z")
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*(?: ?, ?| ))?"
_MONTH = rf"(?P<month_name>{'|'.join(_MONTH_NAMES)})[a-z]*"
_PATTERNS = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        rf"(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)(?:[t ]{_CLOCK}{_ZONE})?",
        rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d)(?:t{_CLOCK}{_ZONE})?",
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})[ -]{_MONTH}[ -](?P<year>\d{{4}}|\d\d)(?: {_CLOCK}{_ZONE})?",
        rf"{_WEEKDAY}{_MONTH} (?P<day>\d{{1,2}}) {_CLOCK_WITH_COLONS} (?P<year>\d{{4}}){_ZONE}",
        rf"{_WEEKDAY}{_MONTH} (?P<day>\d{{1,2}}) {_CLOCK_WITH_COLONS}{_ZONE} (?P<year>\d{{4}})",
        rf"{_WEEKDAY}{_MONTH} (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})(?: {_CLOCK_WITH_COLONS}{_ZONE})?",
    )
)
# From 100,000,000 on, which is in 1973: a smaller number is probably a year, a duration or a mistake.
_NUMBER_PATTERN = re.compile(r"([1-9]\d{8,18})(?:\.(\d{1,9}))?", re.ASCII)


class UnknownZoneError(ValueError):
    """A time zone whose name is not known, or has several meanings."""


class ParsedTime(NamedTuple):
    """An aware time. is_naive: the text has no zone, so it was read as UTC."""

    moment: datetime
    is_naive: bool = False


def parse_time(value: object) -> datetime:
    """Parse a text or a number as `read_time` does, and return the time in its own zone. Raise `ValueError`."""
    return read_time(value).moment


def read_time(value: object) -> ParsedTime:
    """Parse a text or a number; a time without a zone is in UTC. Raise `ValueError`."""
    try:
        if isinstance(value, datetime):
            return ParsedTime(value if value.tzinfo else value.replace(tzinfo=UTC), value.tzinfo is None)
        parsed = _read_text(value) if isinstance(value, str) else _read_number(value)
        parsed.moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        text = repr(value)
        reason = f" ({error})" if isinstance(error, UnknownZoneError) else ""
        raise ValueError(
            f"invalid time {text if len(text) <= 60 else text[:60] + '…'}{reason}; use a format such as {TIME_EXAMPLES}"
        ) from None
    return parsed


def _read_number(value: object) -> ParsedTime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    return _read_epoch(repr(value)) if isinstance(value, int) else _read_epoch(f"{value:.6f}")


def _read_text(text: str) -> ParsedTime:
    text = (
        _COMMENT_PATTERN.sub("", " ".join(text.strip().removeprefix("\ufeff").split()))
        if len(text) <= MAX_TEXT_LENGTH
        else ""
    )
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(text):
            return _build_time(match.groupdict())
    return _read_epoch(text)


def _read_epoch(text: str) -> ParsedTime:
    match = _NUMBER_PATTERN.fullmatch(text)
    if match is None:
        raise ValueError
    number = int(match[1])
    if number >= _MIN_NANOSECONDS:
        microseconds = number // 1000
    elif number >= _MIN_MICROSECONDS:
        microseconds = number
    elif number >= _MIN_MILLISECONDS:
        microseconds = number * 1000
    else:
        microseconds = number * 1_000_000 + int((match[2] or "0")[:6].ljust(6, "0"))
    return ParsedTime(_EPOCH + timedelta(microseconds=microseconds))


def _build_time(parts: dict[str, str | None]) -> ParsedTime:
    month = parts.get("month")
    month_number = int(month) if month else _MONTH_NAMES.index((parts["month_name"] or "").lower()) + 1
    fraction = (parts["fraction"] or "")[:6].ljust(6, "0")
    second = int(parts["second"] or 0)
    # RFC 3339 allows leap seconds.
    is_leap_second = second == 60
    zone = _build_zone(parts)
    moment = datetime(
        _build_year(parts["year"] or ""),
        month_number,
        int(parts["day"] or 0),
        int(parts["hour"] or 0),
        int(parts["minute"] or 0),
        59 if is_leap_second else second,
        int(fraction),
        zone or UTC,
    )
    return ParsedTime(moment + timedelta(seconds=is_leap_second), zone is None)


def _build_year(text: str) -> int:
    """Return the year; one of two digits is from 1950 to 2049, as in RFC 2822."""
    year = int(text)
    return year if len(text) == 4 else year + (2000 if year < 50 else 1900)


def _build_zone(parts: dict[str, str | None]) -> tzinfo | None:
    """Return the zone, or None if the text has none. Raise `ValueError` for an unknown name."""
    if parts["sign"]:
        hours, minutes = int(parts["zone_hour"] or 0), int(parts["zone_minute"] or 0)
        if hours > 23 or minutes > 59:
            raise ValueError
        offset = timedelta(hours=hours, minutes=minutes)
        return timezone(-offset if parts["sign"] == "-" else offset) if offset else UTC
    name = parts["zone_name"]
    if name is None:
        return None
    if name.lower() not in _ZONE_HOURS:
        raise UnknownZoneError(f"unknown time zone {name!r}")
    hours = _ZONE_HOURS[name.lower()]
    return timezone(timedelta(hours=hours)) if hours else UTC
