"""The demo's holidays, compared with gov.uk's for years without a royal proclamation."""

import pytest

from examples.demo.bank_holidays import find_easter_sunday, list_bank_holidays

pytestmark = pytest.mark.unit

PUBLISHED = {
    2019: "01-01 04-19 04-22 05-06 05-27 08-26 12-25 12-26",
    2021: "01-01 04-02 04-05 05-03 05-31 08-30 12-27* 12-28*",
    2024: "01-01 03-29 04-01 05-06 05-27 08-26 12-25 12-26",
    2025: "01-01 04-18 04-21 05-05 05-26 08-25 12-25 12-26",
    2026: "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28*",
    2027: "01-01 03-26 03-29 05-03 05-31 08-30 12-27* 12-28*",
}


@pytest.mark.parametrize("year", PUBLISHED)
def test_dates_and_substitute_days_are_those_that_were_published(year: int) -> None:
    events = list_bank_holidays(range(year, year + 1))["events"]
    dates = [event["date"][5:] + ("*" if event["notes"] == "Substitute day" else "") for event in events]
    assert dates == PUBLISHED[year].split()


@pytest.mark.parametrize(
    ("year", "days"),
    [
        # New Year's Day on a Saturday, then on a Sunday; Christmas Day on a Sunday keeps Boxing Day on its Monday.
        (2022, {"New Year’s Day": "2022-01-03", "Boxing Day": "2022-12-26", "Christmas Day": "2022-12-27"}),
        (2023, {"New Year’s Day": "2023-01-02", "Christmas Day": "2023-12-25", "Boxing Day": "2023-12-26"}),
    ],
)
def test_weekends_move_new_year_and_christmas(year: int, days: dict[str, str]) -> None:
    events = list_bank_holidays(range(year, year + 1))["events"]
    assert {event["title"]: event["date"] for event in events if event["title"] in days} == days
    assert [event["date"] for event in events] == sorted(event["date"] for event in events)


@pytest.mark.parametrize(
    ("year", "day"), [(1961, "04-02"), (2000, "04-23"), (2008, "03-23"), (2038, "04-25"), (2049, "04-18")]
)
def test_easter_sunday_is_computed(year: int, day: str) -> None:
    assert find_easter_sunday(year).isoformat() == f"{year}-{day}"


def test_the_document_has_the_format_of_gov_uk() -> None:
    document = list_bank_holidays(range(2026, 2028))
    assert document["division"] == "england-and-wales"
    assert document["events"][1] == {"title": "Good Friday", "date": "2026-04-03", "notes": "", "bunting": False}
    assert len(document["events"]) == 16
