"""Durations as text: `500ms`, `90s`, `1h30m`, `2d`, `1w`, or seconds without a unit."""

import re
from datetime import timedelta

_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_NUMBER_PATTERN = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)"
_PART_PATTERN = re.compile(rf"{_NUMBER_PATTERN} ?(ms|s|min|m|h|d|w)")
_DURATION_PATTERN = re.compile(rf"(?:{_PART_PATTERN.pattern} ?)+")
_SECONDS_PATTERN = re.compile(_NUMBER_PATTERN)
MAX_TEXT_LENGTH = 100
MAX_DURATION = timedelta(days=366 * 100)
DURATION_EXAMPLES = "500ms, 90s, 10m, 1h30m or 2d"


def parse_duration(value: object) -> timedelta:
    """Parse a text, or a number of seconds. Raise `ValueError` if it is invalid, negative, or over 100 years."""
    text = (
        str(value).strip().removeprefix("\ufeff")
        if isinstance(value, str | int | float) and not isinstance(value, bool)
        else ""
    )
    if len(text) > MAX_TEXT_LENGTH:
        text = ""
    if _SECONDS_PATTERN.fullmatch(text):
        text += "s"
    if not _DURATION_PATTERN.fullmatch(text):
        raise ValueError(f"invalid duration {_format_value(value)}; use a value such as {DURATION_EXAMPLES}")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _PART_PATTERN.findall(text))
    if seconds > MAX_DURATION.total_seconds():
        raise ValueError(f"duration {_format_value(value)} exceeds the limit of 100 years")
    return timedelta(seconds=seconds)


def parse_whole_seconds(value: object, maximum: int) -> int:
    """Parse a duration from 1 second to `maximum`; round fractions of a second up. Raise `ValueError`."""
    duration = parse_duration(value)
    if not timedelta(seconds=1) <= duration <= timedelta(seconds=maximum):
        raise ValueError(f"duration {_format_value(value)} is out of range, use 1s to {_format_seconds(maximum)}")
    return -(-duration // timedelta(seconds=1))


def _format_value(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _format_seconds(seconds: int) -> str:
    return f"{seconds // 86_400}d" if seconds % 86_400 == 0 else f"{seconds}s"
