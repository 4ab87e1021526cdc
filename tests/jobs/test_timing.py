"""Schedules of jobs: ticks, days and time zones."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from flyte_site.scheduler.schedules import MISFIRE_GRACE, DailySchedule, FixedIntervalSchedule, JobSchedule

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo("Europe/Berlin")
LATE_EVENING = DailySchedule(time(23), BERLIN)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "now", "tick"),
    [
        (15, "2026-11-21T10:00:14.999", "2026-11-21T10:00:00"),
        (15, "2026-11-21T10:00:15", "2026-11-21T10:00:15"),
        (3600, "2026-11-21T10:59:59", "2026-11-21T10:00:00"),
        (86400, "2026-11-21T23:59:59", "2026-11-21T00:00:00"),
    ],
)
def test_all_processes_have_the_same_ticks_of_an_interval(seconds: int, now: str, tick: str) -> None:
    assert FixedIntervalSchedule(seconds).period_start(utc(now)) == utc(tick)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-11-21T21:59:59", "2026-11-20"),
        ("2026-11-21T22:00:00", "2026-11-21"),
        ("2026-11-21T23:30:00", "2026-11-21"),
        ("2026-07-01T20:59:59", "2026-06-30"),
        ("2026-07-01T21:00:00", "2026-07-01"),
    ],
)
def test_a_period_begins_at_its_hour_in_its_zone_in_winter_and_summer(now: str, day: str) -> None:
    assert LATE_EVENING.period_start(utc(now)) == utc(day)


@pytest.mark.parametrize(
    ("change", "begins"),
    [
        ("2026-03-29", "2026-03-29T01:30:00"),  # 02:30 does not exist: it is 03:30 in summer time
        ("2026-10-25", "2026-10-25T00:30:00"),  # 02:30 comes twice: the first is in summer time
    ],
)
def test_a_period_begins_once_when_clocks_change(change: str, begins: str) -> None:
    daily = DailySchedule(time(2, 30), BERLIN)
    checks = [utc(change) - timedelta(hours=2) + timedelta(minutes=minutes) for minutes in range(24 * 60)]
    today = [now for now in checks if daily.period_start(now) == utc(change)]
    assert today[0] == utc(begins)
    assert today == checks[checks.index(today[0]) :]


def test_a_day_that_a_zone_skipped_is_not_an_error() -> None:
    samoa = DailySchedule(time(23), ZoneInfo("Pacific/Apia"))
    ticks = [samoa.period_start(utc("2011-12-29T00:00") + timedelta(hours=hours)) for hours in range(72)]
    assert ticks == sorted(ticks)


def test_a_missed_run_can_start_within_the_grace_time() -> None:
    begins = utc("2026-11-21T22:00:00")
    assert LATE_EVENING.is_within_grace(begins)
    assert LATE_EVENING.is_within_grace(begins + MISFIRE_GRACE)
    assert not LATE_EVENING.is_within_grace(begins + MISFIRE_GRACE + timedelta(seconds=1))


@pytest.mark.parametrize("earlier", [time(0, 1), time(12), time(22, 59)])
def test_a_changed_hour_causes_no_second_run_on_the_same_day(earlier: time) -> None:
    now = utc("2026-11-21T22:30:00")
    assert DailySchedule(earlier, BERLIN).period_start(now) == LATE_EVENING.period_start(now)


@pytest.mark.parametrize(
    "timing", [FixedIntervalSchedule(1), FixedIntervalSchedule(15), FixedIntervalSchedule(3600), LATE_EVENING]
)
def test_every_tick_is_checked_more_than_once(timing: JobSchedule) -> None:
    start = utc("2026-11-21T21:00:00")
    checks = [start + timedelta(seconds=timing.poll_interval * count) for count in range(2000)]
    counted = [timing.period_start(now) for now in checks]
    assert all(counted.count(tick) > 1 for tick in set(counted) if tick not in (counted[0], counted[-1]))
