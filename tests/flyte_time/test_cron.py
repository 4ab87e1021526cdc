"""Cron expressions against times."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from flyte_time.cron import MACROS, MAX_EXPRESSION_LENGTH, parse_cron

pytestmark = pytest.mark.unit

MONDAY = "2019-05-06T07:08:09Z"


@pytest.mark.parametrize(
    ("expression", "time", "holds"),
    [
        ("* * * * *", MONDAY, True),
        ("8 7 * * *", MONDAY, True),
        ("8,9 7 * * *", MONDAY, True),
        ("9 7 * * *", MONDAY, False),
        ("*/4 * * * *", MONDAY, True),
        ("*/5 * * * *", MONDAY, False),
        ("0-30/8 7 * * *", MONDAY, True),
        ("* 8-10 * * *", MONDAY, False),
        ("* * * may mon", MONDAY, True),
        ("* * * MAY TUE-FRI", MONDAY, False),
        ("* * * * 0", "2019-05-05T00:00:00Z", True),
        ("* * * * 7", "2019-05-05T00:00:00Z", True),
        ("* * 6 * 0", MONDAY, True),
        ("* * 7 * 1", MONDAY, True),
        ("* * 7 * 2", MONDAY, False),
        ("* * 7 * *", MONDAY, False),
        ("* * ? * 1", MONDAY, True),
        ("* * 6 * ?", MONDAY, True),
        ("* * L * *", "2020-02-29T00:00:00Z", True),
        ("* * L * *", "2020-02-28T00:00:00Z", False),
        ("* * * * 1#1", MONDAY, True),
        ("* * * * 1#2", MONDAY, False),
        ("* * * * 2#1", "2019-05-07T00:00:00Z", True),
        ("* * * * 2#2", "2019-05-14T00:00:00Z", True),
        ("* * * * 3#2", "2019-05-08T00:00:00Z", True),
        ("* * * * 1L", "2019-05-27T00:00:00Z", True),
        ("* * * * 1L", MONDAY, False),
        ("8 7 6 5 * 2019", MONDAY, True),
        ("8 7 6 5 * 2020", MONDAY, False),
        ("9 8 7 6 5 *", MONDAY, False),
        ("9 8 7 6 5 * *", MONDAY, True),
        ("9 8 7 * * * *", MONDAY, True),
        ("8 8 7 * * * *", MONDAY, False),
        ("@daily", "2019-05-06T00:00:59Z", True),
        ("@daily", MONDAY, False),
        ("@Hourly", "2019-05-06T07:00:00Z", True),
        ("@weekly", "2019-05-05T00:00:00Z", True),
        ("@monthly", "2019-05-01T00:00:00Z", True),
        ("@yearly", "2019-01-01T00:00:00Z", True),
        ("30 9 * * *", "2019-05-06T09:30:00+02:00", True),
        ("30 7 * * *", "2019-05-06T09:30:00+02:00", False),
        ("9-9 * * * *", MONDAY, False),
        ("8-8 * * * *", MONDAY, True),
        ("* 20-20 * * *", MONDAY, False),
        ("* * 7-7 * *", MONDAY, False),
        ("* * * 6-6 *", MONDAY, False),
        ("* * * * 2-2", MONDAY, False),
        ("* * * * TUE-TUE", MONDAY, False),
        ("3/5 * * * *", MONDAY, True),
        ("4/5 * * * *", MONDAY, False),
        ("* * * * 5-7", "2019-05-05T00:00:00Z", True),
        ("* * * * FRI-SUN", "2019-05-05T00:00:00Z", True),
        ("* * * * FRI-SUN", MONDAY, False),
        ("* * * * MONL", "2019-05-27T00:00:00Z", True),
        ("* * * * MON#1,TUE", MONDAY, True),
        ("* * 7,L * *", "2019-05-31T00:00:00Z", True),
        ("* * */2 * MON", MONDAY, False),
        ("* * */2 * MON", "2019-05-13T00:00:00Z", True),
        ("* * */2 * MON", "2019-05-15T00:00:00Z", False),
    ],
)
def test_a_time_matches_in_its_own_zone(expression: str, time: str, holds: bool) -> None:
    cron = parse_cron(expression, allow_seconds_and_year=True)

    assert cron.matches(datetime.fromisoformat(time)) is holds


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "it has 0 fields, not five"),
        ("bad", "it has 1 field, not five"),
        ("* * * *", "it has 4 fields, not five: minute, hour, day of month, month, weekday"),
        ("* * * * * *", "it has 6 fields, not five: minute, hour, day of month, month, weekday; seconds and years"),
        ("* * * * * * * *", "it has 8 fields"),
        ("60 * * * *", "minute: '60' is not a number from 0 to 59"),
        ("* 24 * * *", "hour: '24' is not a number from 0 to 23"),
        ("* * 32 * *", "day of month: '32' is not a number from 1 to 31"),
        ("* * 0 * *", "day of month: '0' is not"),
        ("* * * 13 *", "month: '13' is not a number from 1 to 12, or a name such as JAN"),
        ("* * * * 8", "weekday: '8' is not a number from 0 to 7, or a name such as SUN"),
        ("* * * * MONDAY", "weekday: 'MONDAY' is not"),
        ("*/0 * * * *", "minute: the step of '*/0' must be a number from 1"),
        ("*/ * * * *", "minute: the step of '*/' must be"),
        ("*/-2 * * * *", "minute: the step of '*/-2' must be"),
        ("1,,2 * * * *", "minute: '' is not"),
        ("1-2-3 * * * *", "minute: '2-3' is not"),
        ("*-5 * * * *", "minute: '*' is not"),
        ("-5 * * * *", "minute: '' is not"),
        ("１ * * * *", "minute: '１' is not"),
        ("50-10 * * * *", "minute: 50-10 runs backwards, use 50-59,0-10"),
        ("* 22-5 * * *", "hour: 22-5 runs backwards, use 22-23,0-5"),
        ("* * * * FRI-MON", "weekday: FRI-MON runs backwards, use 5-6,0-1"),
        ("* * 25-5 * *", "day of month: 25-5 runs backwards, use 25-31,1-5"),
        ("? * * * *", "minute: '?' is not"),
        ("H * * * *", "minute: 'H' is not"),
        ("R * * * *", "minute: 'R' is not"),
        ("* * 15W * *", "day of month: '15W' is not"),
        ("* * * * L", "weekday: 'L' is not"),
        ("* * * * 1#6", "weekday: 1#6 is invalid, a month has at most 5 of each weekday"),
        ("* * * * 1#0", "weekday: 1#0 is invalid"),
        ("* * * * 9#1", "weekday: '9' is not"),
        ("@nightly", "use one of @yearly, "),
        ("@reboot", "use one of @yearly, "),
        ("* * * * *" + " " * MAX_EXPRESSION_LENGTH, f"it has more than {MAX_EXPRESSION_LENGTH} characters"),
        ("0 0 30 2 *", "no month has such a day, so it never matches"),
        ("0 0 31 4,6,9,11 *", "no month has such a day"),
        ("0 0 */31 * 1#3", "no month has such a day"),
    ],
)
def test_an_invalid_expression_is_an_error_with_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(ValueError, match="invalid cron expression") as caught:
        parse_cron(expression)

    assert reason in str(caught.value)


def test_six_fields_that_never_match_are_an_error() -> None:
    with pytest.raises(ValueError, match="never matches"):
        parse_cron("0 0 29 2 * 2023", allow_seconds_and_year=True)


def test_every_name_such_as_daily_has_ticks() -> None:
    after = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)

    ticks = {name: parse_cron(name).find_next(after, UTC) for name in MACROS}

    assert {name: f"{tick:%m-%d %H:%M}" for name, tick in ticks.items() if tick} == {
        "@yearly": "01-01 00:00",
        "@annually": "01-01 00:00",
        "@monthly": "12-01 00:00",
        "@weekly": "12-06 00:00",
        "@daily": "11-30 00:00",
        "@midnight": "11-30 00:00",
        "@hourly": "11-29 13:00",
    }


def test_a_leap_day_is_found_across_the_turn_of_a_century() -> None:
    tick = parse_cron("0 0 29 2 */7").find_next(datetime(2096, 3, 1, tzinfo=UTC), UTC)

    assert tick == datetime(2128, 2, 29, tzinfo=UTC)


def test_after_the_last_year_there_is_no_tick() -> None:
    end = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)

    assert parse_cron("0 0 1 1 *").find_next(end, UTC) is None
    assert parse_cron("* * * * *").find_next(end, ZoneInfo("Europe/Berlin")) is None


def test_an_hour_that_is_repeated_before_midnight_ticks_twice() -> None:
    santiago = ZoneInfo("America/Santiago")  # on 5 April 2026, 24:00 became 23:00
    cron = parse_cron("15 * 4 4 *")
    after = datetime(2026, 4, 4, 23, 50, tzinfo=santiago)

    assert cron.find_next(after, santiago) == datetime(2026, 4, 4, 23, 15, fold=1, tzinfo=santiago).astimezone(UTC)
