"""A slow reading of crontab(5), to compare with: it looks at every minute, and knows nothing of the real parser.

"Commands are executed by cron when the minute, hour, and month fields match the current time, and at least one of the
two day fields matches … If both fields are restricted (i.e., do not contain the '*' character), the command will be run
when either field matches." "If time has moved forward, jobs that would have run in the interval that was skipped are
run immediately. If time has moved backward, care is taken to avoid running jobs twice." "Jobs that run more frequently
are scheduled normally": here, those with a `*` in the hour field.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MINUTE = timedelta(minutes=1)


class Minute(NamedTuple):
    """A minute of real time as people in the zone see it. skipped: the local minutes that a clock change left out."""

    instant: datetime
    local: datetime
    is_repeated: bool
    skipped: tuple[datetime, ...]


class Window(NamedTuple):
    """Some days in a zone."""

    zone: str
    start: datetime
    days: int


# Each of the changes of the clock in 2026, a leap day, and the end of a year.
WINDOWS = tuple(
    Window(zone, datetime.fromisoformat(start).replace(tzinfo=UTC), days)
    for zone, start, days in (
        ("Europe/Berlin", "2026-03-28T20:00", 2),
        ("Europe/Berlin", "2026-10-24T20:00", 2),
        ("America/New_York", "2026-03-07T20:00", 2),
        ("America/New_York", "2026-10-31T20:00", 2),
        ("Australia/Lord_Howe", "2026-04-04T05:00", 2),
        ("Australia/Lord_Howe", "2026-10-03T05:00", 2),
        ("Europe/Berlin", "2028-02-26T00:00", 5),
        ("America/New_York", "2026-12-30T00:00", 4),
    )
)


@cache
def list_minutes(window: Window) -> list[Minute]:
    """Return every minute of the window, from its second on."""
    zone = ZoneInfo(window.zone)
    minutes, seen, previous = [], set(), None
    for count in range(-180, window.days * 1440):
        instant = window.start + count * MINUTE
        local = instant.astimezone(zone).replace(tzinfo=None)
        skipped: tuple[datetime, ...] = ()
        if previous is not None and local > previous + MINUTE:
            skipped = tuple(previous + step * MINUTE for step in range(1, (local - previous) // MINUTE))
        if count > 0:
            minutes.append(Minute(instant, local, local in seen, skipped))
        seen.add(local)
        previous = local
    return minutes


def parse_item(item: str, field: int) -> set[int]:
    """Return the values of `*`, `5`, `1-5`, with `/2` or without."""
    low, high = BOUNDS[field]
    names = {3: dict(zip(MONTHS, range(1, 13), strict=True)), 4: dict(zip(WEEKDAYS, range(7), strict=True))}
    known = names.get(field, {})
    text, _, step = item.partition("/")
    if text != "*":
        bounds = [known[part] if part in known else int(part) for part in text.split("-")]
        low, high = bounds[0], bounds[-1]
    return {value for value in range(low, high + 1) if (value - low) % int(step or 1) == 0}


def find_ticks(expression: str, window: Window) -> list[datetime]:
    """Return the ticks of the expression in the window, in UTC."""
    fields = expression.lower().split()
    minutes, hours, days, months, weekdays = (
        set().union(*(parse_item(item, index) for item in field.split(","))) for index, field in enumerate(fields)
    )
    weekdays = {value % 7 for value in weekdays}
    both_restricted = "*" not in fields[2] and "*" not in fields[4]
    is_frequent = "*" in fields[1]

    def matches(local: datetime) -> bool:
        if local.minute not in minutes or local.hour not in hours or local.month not in months:
            return False
        by_day, by_weekday = local.day in days, (local.weekday() + 1) % 7 in weekdays
        return (by_day or by_weekday) if both_restricted else (by_day and by_weekday)

    return [
        minute.instant
        for minute in list_minutes(window)
        if (matches(minute.local) and (is_frequent or not minute.is_repeated))
        or (not is_frequent and any(map(matches, minute.skipped)))
    ]


def generate_expressions(seed: int, count: int) -> Iterator[str]:
    """Yield random expressions, the same ones for the same seed."""
    generator = random.Random(seed)
    for _ in range(count):
        yield " ".join(_generate_field(generator, field) for field in range(5))


def _generate_field(generator: random.Random, field: int) -> str:
    # Hours near the changes of clocks, and fields without restriction, make ticks in the windows likely.
    if generator.random() < (0.3, 0.3, 0.6, 0.7, 0.6)[field]:
        return "*"
    return ",".join(_generate_item(generator, field) for _ in range(generator.choice((1, 1, 1, 2, 3))))


def _generate_item(generator: random.Random, field: int) -> str:
    low, high = BOUNDS[field]
    if field == 1 and generator.random() < 0.5:
        high = 4
    first = generator.randint(low, high)
    last = generator.choice((first, generator.randint(first, high)))
    if field >= 3 and generator.random() < 0.3:
        names = MONTHS if field == 3 else WEEKDAYS
        return generator.choice(names)
    kind = generator.choice(("one", "range", "range", "range step", "all step"))
    step = generator.randint(1, 12)
    return {
        "one": f"{first}",
        "range": f"{first}-{last}",
        "range step": f"{first}-{last}/{step}",
        "all step": f"*/{step}",
    }[kind]
