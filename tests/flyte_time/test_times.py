"""Times as text and numbers, as programs and protocols print them."""

import email.utils
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.template.runtime.go_time import format_go_default, format_rfc3339
from flyte_site.core import timestamps
from flyte_time.times import parse_time, read_time

pytestmark = pytest.mark.unit

MOMENT = datetime(2026, 11, 21, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        # RFC 3339 and ISO 8601
        "2026-11-21T05:30:00Z",
        "2026-11-21t05:30:00z",
        "2026-11-21T05:30:00.000Z",
        "2026-11-21T05:30:00,000000000Z",
        "2026-11-21T05:30:00+00:00",
        "2026-11-21T05:30:00-00:00",
        "2026-11-21T06:30:00+01:00",
        "2026-11-21T06:30:00+0100",
        "2026-11-21T06:30:00.000+0100",
        "2026-11-21T06:30+01",
        "2026-11-20T22:00:00-07:30",
        "2026-11-21T05:30Z",
        "20261121T053000Z",
        "20261121T0530Z",
        # A space instead of T; git log, PostgreSQL, Go, Ruby
        "2026-11-21 05:30:00Z",
        "2026-11-21 06:30:00 +0100",
        "2026-11-21 06:30:00+01",
        "2026-11-21 05:30:00 +0000 UTC",
        "2026-11-21 06:30:00.000000 +0100 CET",
        "2026-11-21 02:30:00 -0300 -03",
        "2026-11-21 05:30:00 UTC",
        # RFC 2822, HTTP, RFC 850
        "Sat, 21 Nov 2026 05:30:00 +0000",
        "Sat, 21 Nov 2026 06:30:00 +0100 (CET)",
        "21 Nov 2026 05:30 +0000",
        "Sat, 21 Nov 2026 05:30:00 GMT",
        "Sat, 21 Nov 2026 00:30:00 EST",
        "Sat, 21 Nov 26 05:30:00 GMT",
        "Saturday, 21-Nov-26 05:30:00 GMT",
        "Sat, 21 Nov 2026 5:30 +0000",
        "Sat,21 Nov 2026 07:30:00 EET",
        "Fri, 20 Nov 2026 21:30:00 -0800 (Pacific Standard Time)",
        "Sat, 21 Nov 2026 05:30:00 GMT (Greenwich)",
        "Sat, 21 Nov 2026 07:30:00 CEST",
        "21 Nov 2026 05:29:60 +0000",
        # JavaScript
        "Sat Nov 21 2026 06:30:00 GMT+0100 (Central European Standard Time)",
        "Sat Nov 21 2026 05:30:00 UTC+00:00",
        # date, git, OpenSSL
        "Sat Nov 21 06:30:00 CET 2026",
        "Sat Nov 21 05:30:00 UTC 2026",
        "Sat Nov 21 06:30:00 2026 +0100",
        "Nov 21 05:30:00 2026 GMT",
        # Seconds and their parts since 1970; Slack
        "1795239000",
        "1795239000.000",
        "1795239000.000000",
        "1795239000000",
        "1795239000000000",
        "1795239000000000000",
        "  1795239000\n",
        " 2026-11-21T05:30:00Z\r\n",
        "\ufeff2026-11-21T05:30:00Z\r\n",
    ],
)
def test_a_text_with_a_zone_is_read(text: str) -> None:
    parsed = read_time(text)

    assert parsed.moment == MOMENT
    assert not parsed.is_naive


@pytest.mark.parametrize("number", [1795239000, 1795239000.0, 1795239000000, 1795239000000000])
def test_a_number_is_read(number: float) -> None:
    assert parse_time(number) == MOMENT


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T05:30:00",
        "2026-11-21 05:30:00.000",
        "2026-11-21 05:30",
        "20261121T053000",
        "2026-11-21 5:30",
        "Sat Nov 21 05:30:00 2026",
        "Sat, 21 Nov 2026 5:30",
        "Nov 21, 2026 5:30",
        "Sat, 21 Nov 2026 05:30:00",
    ],
)
def test_a_text_without_a_zone_is_in_utc_and_naive(text: str) -> None:
    assert read_time(text) == (MOMENT, True)


@pytest.mark.parametrize("text", ["2026-11-21", "20261121", "21 Nov 2026", "Sat, 21 Nov 2026", "November 21, 2026"])
def test_a_date_is_its_midnight_in_utc(text: str) -> None:
    assert read_time(text) == (datetime(2026, 11, 21, tzinfo=UTC), True)


def test_a_time_keeps_its_zone_and_fraction() -> None:
    assert parse_time("2026-11-21T06:30:00.1234567+01:00").isoformat() == "2026-11-21T06:30:00.123456+01:00"
    assert parse_time("1795239000.25").isoformat() == "2026-11-21T05:30:00.250000+00:00"
    assert parse_time(1795239000.25).isoformat() == "2026-11-21T05:30:00.250000+00:00"
    assert parse_time("1795239000250").isoformat() == "2026-11-21T05:30:00.250000+00:00"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "noon",
        "yesterday",
        "10:30",
        "2026",
        "2026-11",
        "2026-1-2",
        "2026-13-01",
        "2026-02-30",
        "2026-00-10",
        "0000-05-06T07:08:09Z",
        "2026-11-21T24:30:00Z",
        "2026-11-21T05:60:00Z",
        "2026-11-21T05:30:61Z",
        "2026-11-21T05:30:00+25:00",
        "2026-11-21T05:30:00+01:75",
        "2026-11-21T05:30:00 IST",
        "2026-11-21T05:30:00Z extra",
        "2026-11-21T05:30:00." + "1" * 100 + "Z",
        "11/21/2026",
        "21.11.2026",
        "２026-11-21",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-01:00",
        "12345678",
        "-1795239000",
        "1.795239e9",
        "9" * 30,
        "0",
        0,
        5,
        2026,
        -1795239000,
        1e30,
        float("nan"),
        float("inf"),
        None,
        True,
        [],
        {"time": 1},
    ],
)
def test_anything_else_is_an_error_with_the_value(value: object) -> None:
    with pytest.raises(ValueError, match=r"^invalid time .*; use a format such as 2026-11-21T05:30:00Z, ") as caught:
        parse_time(value)

    assert repr(value)[:60] in str(caught.value)


@pytest.mark.parametrize("zone", ["IST", "MSK", "A", "XYZ"])
@pytest.mark.parametrize("text", ["2026-11-21T05:30:00 {}", "Sat, 21 Nov 2026 05:30 {}", "Nov 21 05:30:00 {} 2026"])
def test_a_zone_name_that_is_unknown_or_ambiguous_is_an_error_that_names_it(text: str, zone: str) -> None:
    value = text.format(zone)

    with pytest.raises(ValueError, match=r"^invalid time") as caught:
        parse_time(value)

    assert f"{value!r} (unknown time zone {zone!r}); use a format such as" in str(caught.value)


@settings(max_examples=50, deadline=None)
@given(
    st.datetimes(min_value=datetime(1974, 1, 1), max_value=datetime(2200, 1, 1)),
    st.integers(min_value=-14 * 4, max_value=14 * 4),
)
def test_whatever_is_printed_here_is_read_again(naive: datetime, quarter_hours: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=15 * quarter_hours)))

    assert parse_time(format_go_default(moment)) == moment
    assert parse_time(format_rfc3339(moment)) == moment
    assert parse_time(moment.isoformat()) == moment
    assert parse_time(timestamps.format_rfc3339(moment)) == moment.replace(microsecond=naive.microsecond // 1000 * 1000)
    seconds = moment.replace(microsecond=0)
    assert parse_time(email.utils.format_datetime(seconds)) == seconds
    assert parse_time(str(int(seconds.timestamp()))) == seconds
