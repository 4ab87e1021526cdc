"""Timer schedules, including clock changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyte_client.packs.timer.schedule import CronSchedule, IntervalSchedule, TimerSchedule, iter_ticks

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo("Europe/Berlin")
FORWARD = datetime(2026, 3, 29, tzinfo=UTC)
BACK = datetime(2026, 10, 25, tzinfo=UTC)
DAY = timedelta(days=1)


def local(schedule: TimerSchedule, after: datetime, until: datetime) -> list[str]:
    return [tick.astimezone(BERLIN).strftime("%d %H:%M%z") for tick in iter_ticks(schedule, after, until)]


def test_an_interval_counts_from_1970_and_not_from_the_start() -> None:
    start = datetime(2026, 11, 21, 10, 7, 3, 500, tzinfo=UTC)
    ticks = list(iter_ticks(IntervalSchedule(300), start, start + timedelta(minutes=11)))
    assert [tick.strftime("%H:%M:%S") for tick in ticks] == ["10:10:00", "10:15:00"]


def test_the_next_tick_is_later_than_the_time() -> None:
    ten = datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert IntervalSchedule(3600).next(ten) == ten + timedelta(hours=1)
    assert CronSchedule("0 * * * *", BERLIN).next(ten) == ten + timedelta(hours=1)


def test_a_cron_expression_counts_in_its_time_zone() -> None:
    after = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
    assert local(CronSchedule("30 9 * * MON-FRI", BERLIN), after, after + 4 * DAY) == ["23 09:30+0100", "24 09:30+0100"]


@pytest.mark.parametrize(
    ("expression", "day", "expected"),
    [
        ("30 2 * * *", FORWARD, ["29 03:00+0200"]),
        ("15 * * * *", FORWARD, ["29 01:15+0100", "29 03:15+0200", "29 04:15+0200"]),
        ("30 2 * * *", BACK, ["25 02:30+0200"]),
        ("30 1-3 * * *", BACK, ["25 02:30+0200", "25 03:30+0100"]),
        ("15 * * * *", BACK, ["25 02:15+0200", "25 02:15+0100", "25 03:15+0100"]),
    ],
)
def test_days_on_which_clocks_change(expression: str, day: datetime, expected: list[str]) -> None:
    after = day if day == FORWARD else day - timedelta(minutes=1)
    assert local(CronSchedule(expression, BERLIN), after, day + timedelta(hours=2, minutes=45)) == expected


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["30 2 * * *", "*/20 * * * *", "15 * * * *", "0 1-4 * * *", "59 2,3 * * SUN"]),
    st.sampled_from([FORWARD, BACK, datetime(2026, 11, 21, tzinfo=UTC)]),
    st.integers(min_value=-12 * 60, max_value=12 * 60),
)
def test_ticks_do_not_depend_on_the_start_time(expression: str, day: datetime, minutes: int) -> None:
    schedule = CronSchedule(expression, BERLIN)
    later, end = day + timedelta(minutes=minutes, seconds=7), day + DAY
    all_ticks = list(iter_ticks(schedule, day - DAY, end))
    assert list(iter_ticks(schedule, later, end)) == [tick for tick in all_ticks if tick > later]
    assert all_ticks == sorted(set(all_ticks))


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "H * * * *",
        "R * * * *",
        "@nightly",
        "0 22-5 * * *",
        "0 0 30 2 *",
        "a b c d e",
        "9" * 600,
    ],
)
def test_an_invalid_cron_expression_is_rejected(expression: str) -> None:
    with pytest.raises(ValueError, match="invalid cron expression"):
        CronSchedule(expression, BERLIN)


@pytest.mark.parametrize(
    ("expression", "ticks"),
    [
        ("9-9 9 * * *", ["20 09:09+0100", "21 09:09+0100", "22 09:09+0100"]),
        ("0,30 20-20 * * *", ["20 20:00+0100", "20 20:30+0100", "21 20:00+0100", "21 20:30+0100"]),
        ("@daily", ["21 00:00+0100", "22 00:00+0100"]),
        ("0 0 L * *", []),
        ("0 9 * * 6#3", ["21 09:00+0100"]),
        ("0 9 * * SATL", []),
        ("0 9 * * fri-sun", ["20 09:00+0100", "21 09:00+0100", "22 09:00+0100"]),
    ],
)
def test_ranges_of_one_value_and_names_are_those_of_cron(expression: str, ticks: list[str]) -> None:
    after = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
    assert local(CronSchedule(expression, BERLIN), after, datetime(2026, 11, 22, 12, 0, tzinfo=UTC)) == ticks
