"""Times: formatting by Go's layouts and Django's letters."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from flows.template.runtime.go_time import (
    format_go,
    format_go_default,
    format_go_or_django,
    format_rfc3339,
    to_unix_seconds,
)

pytestmark = pytest.mark.unit

PARIS = timezone(timedelta(hours=2))
TIME = datetime(2019, 5, 6, 15, 8, 9, 120_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("2006-01-02T15:04:05Z07:00", "2019-05-06T15:08:09Z"),
        ("2006-01-02 15:04:05.999999999 -0700 MST", "2019-05-06 15:08:09.12 +0000 UTC"),
        ("Mon Jan _2 3:04PM 06", "Mon May  6 3:08PM 19"),
        ("Monday, 2 January 2006", "Monday, 6 May 2019"),
        ("02/1/06 03:4:5 pm", "06/5/19 03:8:9 pm"),
        ("15:04:05.000", "15:08:09.120"),
        ("15:04:05.9", "15:08:09.1"),
        ("15:04:05,999", "15:08:09,12"),
        (".000000000", ".120000000"),
        ("002 __2", "126 126"),
        ("Z0700 Z07 -07 -07:00:00", "Z Z +00 +00:00:00"),
        ("Months Janet", "Months Janet"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_a_go_layout_formats_as_in_go(layout: str, text: str) -> None:
    assert format_go(TIME, layout) == text


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (PARIS, "+0200 +02:00 +02 +0200 +02:00"),
        (timezone(timedelta(hours=-3, minutes=-30)), "-0330 -03:30 -03 -0330 -03:30"),
        (ZoneInfo("Europe/Paris"), "+0200 +02:00 +02 CEST +02:00"),
        (UTC, "+0000 +00:00 +00 UTC Z"),
        (None, "+0000 +00:00 +00 UTC Z"),
    ],
)
def test_zones_are_formatted_as_in_go(zone: timezone | None, text: str) -> None:
    assert format_go(TIME.replace(tzinfo=zone), "-0700 -07:00 -07 MST Z07:00") == text


def test_midnight_and_noon_are_twelve_on_a_12_hour_clock() -> None:
    assert format_go(TIME.replace(hour=0), "3PM") == "12AM"
    assert format_go(TIME.replace(hour=12), "03pm") == "12pm"


@pytest.mark.parametrize(
    ("layout", "text"),
    [("Y-m-d H:i", "2019-05-06 15:08"), ("D j F", "Mon 6 May"), ("2006", "2019"), ("", ""), ("-", "-")],
)
def test_a_layout_without_go_elements_uses_django_letters(layout: str, text: str) -> None:
    assert format_go_or_django(TIME, layout) == text


def test_times_print_and_go_into_json() -> None:
    assert format_go_default(TIME) == "2019-05-06 15:08:09.12 +0000 UTC"
    assert format_go_default(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01 00:00:00 +0000 UTC"
    assert format_rfc3339(TIME) == "2019-05-06T15:08:09.12Z"
    assert to_unix_seconds(datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)) == -1
