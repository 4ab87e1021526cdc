"""Filters for times and durations: formats, zones, and warnings about times without a zone."""

from typing import Any

import pytest

from flows.template import RenderContext, TemplateError, compile_template
from flows.template.runtime.taint import make_secret

pytestmark = pytest.mark.unit

EVENT = {
    "CreatedAt": "2026-11-21T05:30:00Z",
    "Payload": {"naive": "2026-11-21 05:30", "slack": "1795239000.000200", "zone": "Asia/Tokyo", "number": 1795239000},
}


def render(source: str, warnings: list[Any] | None = None) -> str:
    context = RenderContext({"Event": EVENT, "Context": {}}, lambda key: "2026-11-21 05:30")
    context.collected_warnings = warnings
    output = compile_template(source).render(context)
    context.collect_warnings(source, "")
    return output


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("{{ Event.Payload.slack|date:'H:i:s' }}", "05:30:00"),
        ("{{ Event.Payload.number|date:'H:i' }}", "05:30"),
        ("{{ Event.Payload.number|timezone:Event.Payload.zone|date:'Y-m-d H:i e' }}", "2026-11-21 14:30 JST"),
        ("{{ Event.Payload.naive|timezone:'Australia/Lord_Howe' }}", "2026-11-21 16:30:00 +1100 +11"),
        ("{{ Event.CreatedAt|timezone:' Europe/Berlin '|time:'15:04 MST' }}", "06:30 CET"),
        # The hour that the end of summer time repeats, and the hour after the one that its start skips.
        ("{{ '2026-10-25T00:30Z'|timezone:'Europe/Berlin'|date:'H:i T O e I' }}", "02:30 CEST +0200 CEST 1"),
        ("{{ '2026-10-25T01:30Z'|timezone:'Europe/Berlin'|date:'H:i T O e I' }}", "02:30 CET +0100 CET 0"),
        (
            "{{ '2026-11-01T05:30Z'|timezone:'America/New_York'|date:'c r U Z' }}",
            "2026-11-01T01:30:00-04:00 Sun, 01 Nov 2026 01:30:00 -0400 1793511000 -14400",
        ),
        ("{{ '2026-11-01T06:30Z'|timezone:'America/New_York'|date:'c O' }}", "2026-11-01T01:30:00-05:00 -0500"),
        ("{{ '2026-04-04T15:00Z'|timezone:'Australia/Lord_Howe'|date:'H:i O' }}", "01:30 +1030"),
        ("{{ '2026-03-29T01:00Z'|timezone:'Europe/Berlin'|date:'H:i T' }}", "03:00 CEST"),
        ("{{ (Event.CreatedAt|timezone:'Europe/Berlin').Hour }}", "6"),
        ("{{ Event.CreatedAt|timezone:'Europe/Berlin' == Event.CreatedAt }}", "True"),
        ("{{ '2026-11-21 05:30:00 +0000 UTC'|timesince:Event.CreatedAt }}", "0\xa0minutes"),
        ("{{ 'Sat, 21 Nov 2026 06:30:00 +0100'|timesince:'1795239600' }}", "10\xa0minutes"),
        ("{{ '1795239000000'|matchesCron:'30 5 * * *' }}", "True"),
        ("{{ Event.CreatedAt|timezone:'Europe/Berlin'|matchesCron:'30 6 * * SAT' }}", "True"),
        ("{{ '2h'|duration }} {{ 90|duration }} {{ '1.5'|duration }} {{ '250ms'|duration }}", "7200 90 1.5 0.25"),
        ("{% now 'H:i' fake %}", "18:31"),
        ("{% now 'Y-m-d\\TH:i:s' fake %}", "2014-02-05T18:31:45"),
        ("{% now 'fake' %}", "fake"),
        ("{% now '' %}", ""),
    ],
)
def test_times_are_read_and_converted(source: str, output: str) -> None:
    assert render(source) == output


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ 'x'|date:'H:i' }}", "date needs a time: invalid time 'x'; use a format such as 2026-11-21T05:30:00Z"),
        ("{{ none|time:'H:i' }}", "time needs a time, not none"),
        ("{{ true|date:'H:i' }}", "date needs a time, not a boolean"),
        ("{{ 2026|date:'H:i' }}", "date needs a time: invalid time 2026"),
        ("{{ Event.Payload|timezone:'UTC' }}", "timezone needs a time, not a map"),
        ("{{ Event.CreatedAt|timezone:Event.Payload.naive }}", "unknown time zone '2026-11-21 05:30'; use a name"),
        ("{{ Event.CreatedAt|timezone:'../../etc/passwd' }}", "unknown time zone '../../etc/passwd'"),
        ("{{ Event.CreatedAt|timezone:'Europe' }}", "unknown time zone 'Europe'"),
        ("{{ Event.CreatedAt|timezone:'' }}", "unknown time zone ''"),
        ("{{ '9999-12-31T23:59:59Z'|timezone:'Asia/Tokyo' }}", "time is out of range"),
        ("{{ Event.CreatedAt|matchesCron:'* * * * *' }}", "matchesCron needs to know the time zone: write timezone:"),
        ("{{ 'soon'|duration }}", "invalid duration 'soon'; use a value such as 500ms"),
        ("{{ none|duration }}", "duration needs a string such as 1h30m, not none"),
    ],
)
def test_an_invalid_time_is_an_error_with_the_value(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(source)

    assert caught.value.message.startswith(message)


def test_a_time_without_a_zone_is_a_warning_where_warnings_are_collected() -> None:
    warnings: list[Any] = []
    for source in ("{{ Event.Payload.naive|date:'H' }}", "{{ Event.Payload.naive|matchesCron:'@daily' }}"):
        render(source, warnings)
    for source in ("{{ Event.CreatedAt|date:'H' }}", "{{ Event.Payload.slack|date:'H' }}"):
        render(source, warnings)

    expected = "the time '2026-11-21 05:30' has no time zone and is read as UTC"
    assert [warning.message for warning in warnings] == [expected, expected]


def test_a_warning_about_a_secret_time_hides_it() -> None:
    warnings: list[Any] = []
    context = RenderContext({"Event": EVENT, "Context": {}}, lambda key: make_secret("2026-11-21 05:30"))
    context.collected_warnings = warnings
    source = "{{ datastore('x')|date:'H' }}"
    compile_template(source).render(context)
    context.collect_warnings(source, "")

    assert [warning.message for warning in warnings] == ["warning details hidden because the template reads a secret"]


def test_a_layout_without_a_part_of_a_time_is_a_warning_at_save() -> None:
    assert [warning.message for warning in compile_template("{% now 'fake' %}").warnings] == [
        "the layout 'fake' contains no part of a time"
    ]
    assert compile_template("{% now 'H:i' %}{% now '2006' %}").warnings == ()
