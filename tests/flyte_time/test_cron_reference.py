"""Random cron expressions against a reading of crontab(5) minute by minute.

The suite compares a part of the 1,000 expressions; FLYTE_TEST_CRON_EXPRESSIONS=1000 compares all of them.
"""

import os
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from flyte_time.cron import parse_cron
from tests.flyte_time.cron_reference import WINDOWS, Window, find_ticks, generate_expressions

pytestmark = pytest.mark.unit

SEED = 20261129
COUNT = int(os.environ.get("FLYTE_TEST_CRON_EXPRESSIONS", "25"))
# A never-ending `find_next` must not hang the suite.
MAX_TICKS = 10_000


def find_ticks_here(expression: str, window: Window) -> list[str]:
    cron, zone = parse_cron(expression), ZoneInfo(window.zone)
    end = window.start + timedelta(days=window.days)
    ticks: list[str] = []
    tick = cron.find_next(window.start, zone)
    while tick is not None and tick < end and len(ticks) < MAX_TICKS:
        ticks.append(tick.isoformat())
        tick = cron.find_next(tick, zone)
    return ticks


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: f"{window.zone} {window.start:%Y-%m-%d}")
def test_ticks_are_those_of_crontab(window: Window) -> None:
    differences, tick_count = {}, 0
    for expression in generate_expressions(SEED, COUNT):
        try:
            ticks = find_ticks_here(expression, window)
        except ValueError as error:
            assert "never matches" in str(error), expression  # noqa: PT017
            ticks = []
        expected = [tick.isoformat() for tick in find_ticks(expression, window)]
        tick_count += len(expected)
        if ticks != expected:
            differences[expression] = set(ticks) ^ set(expected)

    assert differences == {}
    assert tick_count > COUNT


def test_matching_a_minute_agrees_with_the_ticks() -> None:
    window, zone = WINDOWS[-1], ZoneInfo(WINDOWS[-1].zone)
    for expression in generate_expressions(SEED + 1, COUNT // 4):
        try:
            cron = parse_cron(expression)
        except ValueError:
            continue
        minutes = [window.start + timedelta(minutes=count) for count in range(1, window.days * 1440)]
        matching = [minute for minute in minutes if cron.matches(minute.astimezone(zone))]
        assert matching == find_ticks(expression, window), expression


def test_expressions_that_both_a_library_and_cron_read_differently_are_among_those_compared() -> None:
    expressions = list(generate_expressions(SEED, 1000))
    ranges = [item for expression in expressions for field in expression.split() for item in field.split(",")]

    assert sum("-" in item and len(set(item.split("/")[0].split("-"))) == 1 for item in ranges) > 100
    assert sum("*/" in item for item in ranges) > 100
