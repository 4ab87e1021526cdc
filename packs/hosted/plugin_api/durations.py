"""Durations such as `10s`, `1h30m` and `250ms`."""

import re
from datetime import timedelta

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART_PATTERN = r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)"
_DURATION_PATTERN = re.compile(rf"(?:{_PART_PATTERN})+", re.ASCII)
MAX_DURATION = timedelta(days=366 * 100)


def parse_duration(text: str) -> timedelta:
    """Parse a duration; a number without a unit is in seconds. Raise `ValueError`."""
    text = text.strip()
    if re.fullmatch(r"\d{1,10}(\.\d{1,6})?", text, re.ASCII):
        text += "s"
    if not _DURATION_PATTERN.fullmatch(text):
        raise ValueError(f"invalid duration {text[:40]!r}: use for example 10s, 250ms or 1h30m")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in re.findall(_PART_PATTERN, text))
    if seconds > MAX_DURATION.total_seconds():
        raise ValueError(f"duration {text[:40]!r} exceeds the limit of 100 years")
    return timedelta(seconds=seconds)
