"""Ids, times, and JSON that is stored as text."""

import json
import re
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from flyte_site.core.ids import created_at, min_id_at, new_id
from flyte_site.core.timestamps import format_rfc3339, humanize_duration, parse_rfc3339
from packs.models import Action
from tests.packs.actions import waiting


@pytest.mark.unit
def test_ids_are_24_hexadecimal_digits_that_begin_with_the_time() -> None:
    before = datetime.now(UTC)
    value = new_id()
    assert re.fullmatch("[0-9a-f]{24}", value)
    created = datetime.fromtimestamp(int(value[:12], 16) / 1000, UTC)
    assert before - timedelta(milliseconds=2) <= created <= datetime.now(UTC) + timedelta(milliseconds=2)


@pytest.mark.unit
def test_ids_of_one_process_are_sorted_by_their_creation() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))


@pytest.mark.unit
def test_ids_of_several_threads_are_unique() -> None:
    made: list[list[str]] = [[] for _ in range(8)]

    def make(into: list[str]) -> None:
        into += [new_id() for _ in range(2000)]

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({value for into in made for value in into}) == 16_000


@pytest.mark.unit
def test_an_id_contains_its_time_and_a_time_has_a_smallest_id() -> None:
    moment = datetime(2026, 11, 20, 12, 30, 15, 250999, UTC)
    assert created_at(min_id_at(moment)) == moment.replace(microsecond=250000)
    made = new_id()
    assert min_id_at(created_at(made)) <= made < min_id_at(created_at(made) + timedelta(milliseconds=1))
    assert min_id_at(datetime(1960, 1, 1, tzinfo=UTC)) == "0" * 24
    with pytest.raises(ValueError, match="invalid literal"):
        created_at("no id")


@pytest.mark.unit
@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 ms"),
        (0.0449, "45 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (3_600, "1 h"),
        (7_505, "2 h 5 min"),
        (3_605, "1 h"),
        (86_400 * 3 + 3_600 * 4 + 59, "3 d 4 h"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float, words: str) -> None:
    assert humanize_duration(timedelta(seconds=seconds)) == words


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T05:30:28.849Z", datetime(2026, 11, 21, 5, 30, 28, 849000, UTC)),
        ("2026-11-21t05:30:28z", datetime(2026, 11, 21, 5, 30, 28, 0, UTC)),
        ("2026-11-21T05:30:28.5+01:00", datetime(2026, 11, 21, 4, 30, 28, 500000, UTC)),
        ("2026-11-21T05:30:28.123456789Z", datetime(2026, 11, 21, 5, 30, 28, 123456, UTC)),
        ("2024-02-29T23:59:59-23:59", datetime(2024, 3, 1, 23, 58, 59, 0, UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_parsed_as_in_rfc_3339(text: str, moment: datetime) -> None:
    assert parse_rfc3339(text) == moment


@pytest.mark.unit
@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21",
        "2026-11-21T05:30:28",
        "2026-11-21 05:30:28Z",
        "2026-13-01T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T05:30:28.Z",
        "2026-11-21T05:30:28+25:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "٢٠٢٦-11-21T05:30:28Z",
    ],
)
def test_an_invalid_time_raises_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)


@pytest.mark.unit
def test_a_time_is_formatted_in_utc_with_milliseconds() -> None:
    moment = datetime(2026, 11, 21, 5, 30, 28, 849999, timezone(timedelta(hours=1)))
    assert format_rfc3339(moment) == "2026-11-21T04:30:28.849Z"


@pytest.mark.database
@pytest.mark.django_db
@pytest.mark.parametrize(
    "value",
    [None, {}, [], "", 0, False, "a\0b", "日本😀", 1e21, 1.5, 10**400, -0.0, {"b": 1, "a": {"d": [None], "c": ""}}],
)
def test_json_is_unchanged_by_the_database(value: Any) -> None:
    stored = Action.objects.get(id=waiting(input=value).id).input
    assert json.dumps(stored) == json.dumps(value)
    assert type(stored) is type(value)
