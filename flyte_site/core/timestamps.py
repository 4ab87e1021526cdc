"""Times of the API: RFC 3339 in UTC with milliseconds, such as `2026-11-21T05:30:28.849Z`; and times for people."""

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d{1,6})?\d*([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def format_rfc3339(moment: datetime) -> str:
    """Format an aware time as in the API."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """Parse a time that the server itself has stored; digits beyond microseconds are dropped. Raise `ValueError`.

    `flyte_time.times` reads the times that others write.
    """
    match = _RFC3339.fullmatch(text)
    if not match:
        raise ValueError("must be an RFC 3339 time, such as 2026-11-21T05:30:28.849Z")
    date, time, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{date}T{time}{(fraction or '.0').ljust(7, '0')}{zone.upper()}")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range: must be within the years 1 to 9999 in UTC") from None


DAYS_ONLY_FROM = timedelta(days=3)
"""Ages from here on are shown in days: the hours no longer matter to a reader."""


def humanize_duration(duration: timedelta) -> str:
    """Format a duration in its two largest units: `45 ms`, `2.1 s`, `3 min 5 s`, `3 d 4 h`."""
    seconds = max(duration.total_seconds(), 0.0)
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    parts: list[str] = []
    remaining = round(seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, remaining = divmod(remaining, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(part for part in parts[:2] if part)


def humanize_age(age: timedelta) -> str:
    """Format an age as `5 s ago` or `just now`, a negative one as `in 5 s`."""
    # The clock of another server can be slightly ahead, and milliseconds don't matter to a reader.
    if abs(age) <= timedelta(seconds=1):
        return "just now"
    length = abs(age)
    text = humanize_days(length) if length >= DAYS_ONLY_FROM else humanize_duration(length)
    return f"in {text}" if age < timedelta() else f"{text} ago"


def humanize_days(duration: timedelta) -> str:
    """Format a duration of at least a day in whole days, as `1 day` or `89 days`; a shorter one in its units."""
    if duration.days < 1:
        return humanize_duration(duration)
    return f"{duration.days} day{'' if duration.days == 1 else 's'}"
