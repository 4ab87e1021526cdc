"""TZ: the time zone of daily jobs."""

from datetime import UTC, datetime, timedelta

import pytest

from flyte_site.core.environment import Environment, get_machine_time_zone

pytestmark = pytest.mark.unit

SUMMER = datetime(2026, 7, 1, tzinfo=UTC)


def zone_of(text: str) -> tuple[timedelta | None, list[str]]:
    """Parse TZ; return the offset of the zone from UTC in summer, and the error messages."""
    environment = Environment({"TZ": text})
    zone = environment.time_zone("TZ", check_id="x")
    return zone.utcoffset(SUMMER.replace(tzinfo=None)), [error.message for error in environment.errors]


@pytest.mark.parametrize(
    ("text", "hours"), [("Europe/Berlin", 2), (":Europe/Berlin", 2), ("UTC", 0), ("America/New_York", -4)]
)
def test_a_zone_is_found_by_its_name(text: str, hours: int) -> None:
    assert zone_of(text) == (timedelta(hours=hours), [])


@pytest.mark.parametrize("text", ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "CET-1CEST\0"])
def test_an_invalid_zone_is_reported_with_its_name(text: str) -> None:
    _, errors = zone_of(text)
    assert errors == [f"is {text!r}, but must be the name of a time zone, such as Europe/Berlin"]


def test_the_default_is_the_time_zone_of_the_machine() -> None:
    assert zone_of("") == (get_machine_time_zone().utcoffset(SUMMER.replace(tzinfo=None)), [])
