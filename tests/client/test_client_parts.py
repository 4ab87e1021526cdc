"""Small parts of the client library: links, backoff, response headers, declarations."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import islice

import httpx
import pytest

from flyte_client import Event, Pack, ServerAwayError
from flyte_client.transport.api_client import MAX_RETRY_AFTER, parse_retry_after
from flyte_client.transport.links import find_header_link, find_link
from flyte_client.transport.retry import MAX_BACKOFF, Shutdown, backoff, retry_until_stopped

pytestmark = pytest.mark.unit

BASE = httpx.URL("http://h/v1/packs/Slack")


@pytest.mark.parametrize(
    ("rel", "name", "matches"),
    [
        ("http://h/swagger#!/action/takeAction", "takeAction", True),
        ("http://h/swagger#/event", "event", True),
        ("event", "event", True),
        ("http://h/swagger#!/pack/listPacks", "pack/listPacks", True),
        ("http://h/swagger#/nonevent", "event", False),
        ("help", "event", False),
    ],
)
def test_a_link_is_found_by_the_end_of_its_rel(rel: str, name: str, matches: bool) -> None:
    link = find_link({"links": [{"href": "http://h/there", "rel": rel}]}, name, BASE)
    assert link == (httpx.URL("http://h/there") if matches else None)


def test_a_relative_link_is_resolved_against_its_document() -> None:
    link = find_link({"links": [{"href": "/v1/packs/Slack/events", "rel": "/event"}]}, "event", BASE)
    assert link == "http://h/v1/packs/Slack/events"


def test_the_servers_link_precedes_one_that_the_pack_registered() -> None:
    links = [{"href": "http://mine", "rel": "event"}, {"href": "http://h/events", "rel": "http://h/swagger#/event"}]
    assert find_link({"links": links}, "event", BASE) == "http://h/events"


@pytest.mark.parametrize("links", [None, "links", [1, None], [{"rel": "event"}], [{"rel": 5, "href": "http://h"}]])
def test_malformed_links_are_ignored(links: object) -> None:
    assert find_link({"links": links}, "event", BASE) is None


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ('<http://h/pulse>; rel="heartbeat"', "http://h/pulse"),
        ("<http://h/a;b,%20c/pulse?attempt=2>;rel=heartbeat", "http://h/a;b,%20c/pulse?attempt=2"),
        ('<pulse>; title="a, <b>; \\"c"; REL = "up heartbeat"', "http://h/v1/packs/pulse"),
        ('<http://h/other>; rel=next, <http://h/pulse>; rel="http://h/swagger#/heartbeat"', "http://h/pulse"),
        ('<http://h/one>; rel=heartbeat, <http://h/two>; rel="heartbeat"', "http://h/one"),
        ("<http://h/pulse>; rel=heartbeats", None),
        ("<http://h/pulse>", None),
        ("http://h/pulse; rel=heartbeat", None),
        ('<http://h/pulse>; title="heartbeat', None),
        ("", None),
    ],
)
def test_a_link_in_a_header_is_found_by_its_rel(header: str, address: str | None) -> None:
    assert find_header_link(header, "heartbeat", BASE) == (httpx.URL(address) if address else None)


def test_pauses_grow_to_a_limit_and_differ() -> None:
    pauses = list(islice(backoff(), 2000))
    assert 0.25 <= pauses[0] <= 0.5
    assert 2 <= pauses[3] <= 4
    assert all(MAX_BACKOFF / 2 <= pause <= MAX_BACKOFF for pause in pauses[6:])
    assert len(set(pauses)) > 1900


def test_a_shutdown_raises_the_last_error() -> None:
    stopping = Shutdown()
    stopping.request()

    def away() -> None:
        raise ServerAwayError("nobody there")

    with pytest.raises(ServerAwayError, match="nobody there"):
        retry_until_stopped(away, "event", stopping)


@pytest.mark.parametrize(
    ("text", "pause"),
    [("7", 7.0), ("0", 0.0), ("99999999", MAX_RETRY_AFTER), ("", None), ("soon", None), ("-3", None), ("²", None)],
)
def test_retry_after_in_seconds(text: str, pause: float | None) -> None:
    assert parse_retry_after(httpx.Response(503, headers=[(b"Retry-After", text.encode())])) == pause


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    pause = parse_retry_after(httpx.Response(503, headers={"Retry-After": later}))
    assert pause is not None
    assert 0 < pause <= 600
    past = format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True)
    assert parse_retry_after(httpx.Response(503, headers={"Retry-After": past})) == 0.0
    assert parse_retry_after(httpx.Response(503, headers={"Retry-After": "Thursday, 01-Jan-70 00:00:00 GMT"})) == 0.0
    for text in ("soon", "Mon, 01 Jan 2001 00:00:00 +9900"):
        assert parse_retry_after(httpx.Response(503, headers={"Retry-After": text})) is None


def test_a_command_has_one_handler() -> None:
    pack = Pack("Twice")
    pack.command("Do")(lambda action_input: Event("Done"))
    with pytest.raises(ValueError, match="duplicate command Do: it already has a handler"):
        pack.command("Do")
