"""CloudEvents at the events door, in each mode of the HTTP protocol binding."""

import base64
import json
from typing import Any

import pytest
from django.test import Client

from flows.models import Event, Execution
from tests.flows import builders as b
from tests.site.shape import problem

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"
EVENT = {"specversion": "1.0", "id": "A 1", "source": "/ci", "type": "Go", "time": "2026-11-20T05:30:29Z"}
TEXT = EVENT | {"datacontenttype": "text/plain"}


@pytest.fixture(autouse=True)
def flow() -> None:
    b.pack("Src")
    b.save(b.step())


def post(body: Any, content_type: str = STRUCTURED, **headers: str) -> Any:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return Client().post("/v1/packs/Src/events", text, content_type, headers=headers)


def post_binary(body: str | bytes, content_type: str, **changes: str) -> Any:
    headers = {f"ce-{name}": value for name, value in {**EVENT, **changes}.items() if value}
    return post(body, content_type, **headers)


def only_event() -> Event:
    (event,) = Event.objects.all()
    return event


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (EVENT | {"data": {"n": 1.0}}, {"n": 1}),
        (EVENT | {"data": None}, None),
        (EVENT, None),
        (EVENT | {"extra": "x", "subject": "y", "data": [1]}, [1]),
        (TEXT | {"data": "some text"}, "some text"),
        (TEXT | {"data_base64": base64.b64encode("é".encode()).decode()}, "é"),
        (EVENT | {"data_base64": base64.b64encode(b'{"n": 1}').decode()}, {"n": 1}),
        (EVENT | {"datacontenttype": "image/png", "data_base64": "AP8="}, "AP8="),
    ],
)
def test_an_event_in_structured_mode_has_its_type_as_name_and_its_data_as_payload(
    event: dict[str, Any], payload: Any
) -> None:
    assert post(event).status_code == 202
    stored = only_event()
    assert (stored.name, stored.payload, stored.created_at.isoformat()) == ("Go", payload, "2026-11-20T05:30:29+00:00")
    assert Execution.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "content_type", "payload"),
    [
        ('{"n": 1}', "application/json", {"n": 1}),
        ('{"n": 1}', "application/vnd.github+json; charset=utf-8", {"n": 1}),
        ("n: 1", "application/x-yaml", {"n": 1}),
        ("hello", "text/plain", "hello"),
        ("é", "text/plain; charset=latin-1", "é"),
        (b"\x00\xff", "application/octet-stream", "AP8="),
        ("", "application/json", None),
        ("", "application/octet-stream", None),
    ],
)
def test_an_event_in_binary_mode_has_its_body_as_payload(body: str | bytes, content_type: str, payload: Any) -> None:
    assert post_binary(body, content_type).status_code == 202
    stored = only_event()
    assert (stored.name, stored.payload, stored.created_at.isoformat()) == ("Go", payload, "2026-11-20T05:30:29+00:00")


def test_headers_are_percent_decoded() -> None:
    assert post_binary("{}", "application/json", type="Gr%C3%BC%C3%9Fe%25").status_code == 202
    b.save(b.step(event={"packName": "Src", "name": "Grüße%"}), name="other")
    assert post_binary("{}", "application/json", type="Gr%C3%BC%C3%9Fe%25", id="2").status_code == 202
    assert Execution.objects.filter(flow_name="other").count() == 1


def test_all_events_of_a_batch_count() -> None:
    events = [EVENT | {"id": str(number), "data": number} for number in range(3)]
    assert post(events, BATCHED).status_code == 202
    assert sorted(event.payload for event in Event.objects.all()) == [0, 1, 2]
    assert post([], BATCHED).status_code == 202


def test_an_invalid_event_of_a_batch_rejects_all_of_it() -> None:
    events = [EVENT, EVENT | {"id": "", "type": 5}, "x"]
    paths = [error["path"] for error in problem(post(events, BATCHED), 400)["errors"]]
    assert sorted(paths) == ["[1].id", "[1].type", "[2]"]
    assert not Execution.objects.exists()


def test_a_repeated_event_counts_once_in_any_mode() -> None:
    assert post(EVENT | {"data": {"n": 1}}).status_code == 202
    assert post(EVENT | {"data": {"n": 1}, "subject": "again"}).status_code == 202
    assert post_binary('{"n": 1.0}', "application/json").status_code == 202
    assert post([EVENT | {"data": {"n": 1}}], BATCHED).status_code == 202
    assert Execution.objects.count() == 1
    assert post(EVENT | {"source": "/other", "data": {"n": 1}}).status_code == 202
    assert Execution.objects.count() == 2


def test_a_different_event_with_the_same_source_and_id_is_rejected_and_the_others_count() -> None:
    assert post(EVENT).status_code == 202
    response = post([EVENT | {"data": 5}, EVENT | {"id": "2"}], BATCHED)
    (error,) = problem(response, 422)["errors"]
    assert (error["path"], "'/ci' and id 'A 1'" in error["message"]) == ("[0].id", True)
    assert Execution.objects.count() == 2


def test_a_long_source_and_id_are_a_key_too() -> None:
    event = EVENT | {"source": "/" + "s" * 2000, "id": "i" * 2000}
    assert [post(event).status_code, post(event).status_code] == [202, 202]
    assert Execution.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": "a\n"}, "id"),
        ({"id": 5}, "id"),
        ({"source": "a b"}, "source"),
        ({"source": "x" * 2049}, "source"),
        ({"type": "x" * 256}, "type"),
        ({"time": "yesterday"}, "time"),
        ({"data": 1, "data_base64": "AA=="}, "data_base64"),
        ({"data_base64": "?"}, "data_base64"),
        ({"data_base64": "AA=="}, "data_base64"),
    ],
)
def test_an_invalid_attribute_is_reported(changes: dict[str, Any], path: str) -> None:
    assert [error["path"] for error in problem(post(EVENT | changes), 400)["errors"]] == [path]
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    ("content_type", "body"), [(STRUCTURED, "[]"), (BATCHED, "{}"), (STRUCTURED, "{"), (BATCHED, "")]
)
def test_a_body_of_another_form_is_reported(content_type: str, body: str) -> None:
    problem(post(body, content_type), 400)


def test_a_batch_has_a_limit() -> None:
    events = [EVENT | {"id": str(number)} for number in range(101)]
    assert "at most 100 events, not 101" in problem(post(events, BATCHED), 400)["detail"]


def test_another_format_of_cloudevents_is_reported() -> None:
    problem_document = problem(post("x", "application/cloudevents+avro"), 400)
    assert "unsupported format 'application/cloudevents+avro'" in problem_document["detail"]


def test_a_missing_header_of_binary_mode_is_reported() -> None:
    response = post('{"event": "Go"}', "application/json", **{"ce-id": "1", "ce-type": "Go", "ce-specversion": "1.0"})
    assert problem(response, 400)["errors"] == [
        {"path": "ce-source", "message": "required; must be a non-empty string"}
    ]


def test_a_request_is_reported_as_repeated_if_all_its_events_are() -> None:
    other = EVENT | {"id": "B"}
    answers = [post(EVENT), post(EVENT), post([EVENT, other], BATCHED), post([EVENT, other], BATCHED)]
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None, "true", None, "true"]
