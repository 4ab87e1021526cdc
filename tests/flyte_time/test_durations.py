"""Durations as text and numbers."""

from datetime import timedelta

import pytest

from flyte_time.durations import parse_duration, parse_whole_seconds

pytestmark = pytest.mark.unit

DAY = 86_400


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("500ms", 0.5),
        ("90s", 90),
        ("\ufeff90s\n", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("1h0m0s", 3600),
        ("2d", 2 * DAY),
        ("1w2d", 9 * DAY),
        ("1.5h", 5400),
        ("90", 90),
        ("1.5", 1.5),
        ("0", 0),
        (90, 90),
        (1.5, 1.5),
        (" 5m\n", 300),
        ("1h 30m", 5400),
        ("45 ms", 0.045),
        ("3 min 5 s", 185),
        ("3 d 4 h", 3 * DAY + 14_400),
        ("00010s", 10),
    ],
)
def test_a_duration_is_read(value: object, seconds: float) -> None:
    assert parse_duration(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "s",
        "soon",
        "-1s",
        -1,
        "+1s",
        "10x",
        "1h30",
        "5 5s",
        "1e3",
        "1,5h",
        "1M",
        "1H",
        ".5s",
        "1.s",
        "١s",
        "1s;",
        "1h\n30m",
        "9" * 13,
        "1s" * 60,
        None,
        True,
        [],
        {"s": 1},
        float("nan"),
        float("inf"),
        1e-9,
    ],
)
def test_anything_else_is_an_error_with_the_value(value: object) -> None:
    with pytest.raises(ValueError, match=r"^invalid duration .*; use a value such as 500ms, 90s, ") as caught:
        parse_duration(value)

    assert repr(value)[:40] in str(caught.value)


@pytest.mark.parametrize("value", ["36601d", "999999999999d", 10_000_000_000])
def test_a_century_is_the_limit(value: object) -> None:
    with pytest.raises(ValueError, match="exceeds the limit of 100 years"):
        parse_duration(value)

    assert parse_duration("36600d") == timedelta(days=36_600)


@pytest.mark.parametrize(("value", "seconds"), [("1s", 1), ("1500ms", 2), ("1.2s", 2), (90, 90), ("366d", 366 * DAY)])
def test_whole_seconds_are_rounded_up(value: object, seconds: int) -> None:
    assert parse_whole_seconds(value, 366 * DAY) == seconds


@pytest.mark.parametrize("value", ["0s", "999ms", 0, "367d", "366d1ms"])
def test_whole_seconds_have_limits(value: object) -> None:
    with pytest.raises(ValueError, match=r"^duration .* is out of range, use 1s to 366d$"):
        parse_whole_seconds(value, 366 * DAY)
