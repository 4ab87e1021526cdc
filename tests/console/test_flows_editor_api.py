"""Requests of the editor's script: validation, conversion, completions, stored events and dry runs."""

import json
from typing import Any

import pytest
from django.test import Client

from flows.models import Event, Execution, FlowVersion
from flyte_site.models import Change
from packs import registry
from packs.models import Action
from tests.console.conftest import SignedOn
from tests.flows.builders import follower, pack, save, step, tell

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIST = "/admin/flows/flow/"
TEXT = """\
name: greet
steps:
  - id: hello
    event: {packName: Src, name: Go}
    context:
      Who: "{{ Event.Payload.user.name }}"
    criteria: "{{ Event.Payload.word == 'go' }}"
    command: {packName: Wrk, name: Do, input: {to: "{{ Context.Who }}"}}
  - id: after
    dependsOn: [hello]
    event: {packName: Wrk, name: Done}
    command: {packName: Wrk, name: Do}
"""


def ask(client: Client, what: str, value: Any, status: int = 200) -> Any:
    answer = client.post(f"{LIST}{what}/", json.dumps(value), content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


@pytest.fixture
def editor(signed_on: SignedOn) -> Client:
    return signed_on("editor")


def test_a_text_is_validated_and_drawn(editor: Client) -> None:
    response = ask(editor, "check", {"text": TEXT})
    assert (response["language"], response["name"]) == ("yaml", "greet")
    assert "<svg" in response["diagram"]
    assert [(item["id"], item["line"], item["context"], item["depends_on"]) for item in response["steps"]] == [
        ("hello", 3, ["Who"], []),
        ("after", 9, [], ["hello"]),
    ]
    assert {item["kind"] for item in response["findings"]} == {"warning"}


def test_errors_have_lines_in_yaml_and_json(editor: Client) -> None:
    response = ask(editor, "check", {"text": TEXT.replace("== 'go'", "==")})
    (error,) = [item for item in response["findings"] if item["kind"] == "error"]
    assert (error["path"], error["line"]) == ("steps[0].criteria", 7)
    value = {
        "name": "x",
        "steps": [{"event": {"packName": "A", "nam": "B"}, "command": {"packName": "A", "name": "B"}}],
    }
    response = ask(editor, "check", {"text": json.dumps(value, indent=2)})
    assert response["language"] == "json"
    assert [item["line"] for item in response["findings"] if item["path"] == "steps[0].event.nam"] == [7]
    assert ask(editor, "check", {"text": '{"name": "x",\n  "a": "b" "c"}'})["findings"][0]["line"] == 2


def test_an_incomplete_flow_is_drawn_as_far_as_possible(editor: Client) -> None:
    response = ask(editor, "check", {"text": "steps:\n  - id: one\n  - 5\n  - id: [x]\n    event: 7\n    context: [1]"})
    assert "one" in response["diagram"]
    assert len(response["steps"]) == 3
    assert ask(editor, "check", {"text": "just words"})["diagram"] is None


@pytest.mark.parametrize("value", [{}, {"text": 5}, {"text": "x" * 500_001}, [], 7, {"text": None}])
def test_invalid_requests_are_answered_with_errors(editor: Client, value: Any) -> None:
    for what in ("check", "convert"):
        assert ask(editor, what, value, 400)["errors"][0]["message"]


def test_a_body_that_is_not_json_is_rejected(editor: Client) -> None:
    for body in (b"{", b"\xff", b""):
        answer = editor.post(f"{LIST}check/", body, content_type="application/json")
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json")


def test_validation_warns_if_saving_enables_or_disables_the_flow(editor: Client) -> None:
    flow = save(step(), name="greet")
    response = ask(editor, "check", {"text": TEXT + "enabled: false\n", "flow": flow.pk})
    assert (
        "saving this disables it" in next(item for item in response["findings"] if item["path"] == "enabled")["message"]
    )
    for odd in (0, -1, 10**30, "1", None, True):
        ask(editor, "check", {"text": TEXT, "flow": odd})


def test_yaml_converts_to_json_and_back(editor: Client) -> None:
    written = ask(editor, "convert", {"text": TEXT, "to": "json"})["text"]
    assert list(json.loads(written)) == ["name", "steps"]
    back = ask(editor, "convert", {"text": written, "to": "yaml"})["text"]
    assert ask(editor, "convert", {"text": back, "to": "json"})["text"] == written
    assert ask(editor, "convert", {"text": TEXT, "to": "yaml"})["text"] == TEXT


def test_losing_comments_must_be_confirmed(editor: Client) -> None:
    text = TEXT + "# the end\n"
    assert ask(editor, "convert", {"text": text, "to": "json"}) == {"comments": True}
    assert "the end" not in ask(editor, "convert", {"text": text, "to": "json", "anyway": True})["text"]
    assert "(line " in ask(editor, "convert", {"text": "a: [", "to": "json"}, 400)["errors"][0]["message"]


def test_completions_come_from_the_registry_and_the_language(editor: Client) -> None:
    command = {"name": "Send", "events": ["Sent"], "links": []}
    registry.register({"name": "Slack", "labels": {}, "commands": [command], "events": [{"name": "Got"}], "links": []})
    response = editor.get(f"{LIST}words/").json()
    assert response["packs"] == {"Slack": {"events": ["Got", "Sent"], "commands": ["Send"]}}
    assert "match" in response["filters"]
    assert "datastore" in response["functions"]
    assert "if" in response["tags"]


def test_stored_events_are_offered_redacted_with_their_paths(editor: Client) -> None:
    save(step())
    src = pack("Src", env="prod")
    tell(src, "Go", {"user": {"name": "<b>ann</b>"}, "tags": [{"id": 1}], "password": "hush"})
    response = ask(editor, "events", {"pairs": [["Src", "Go"], ["No", "Body"]]})
    assert "hush" not in json.dumps(response)
    assert "<b>" not in response["html"]
    assert "No stored events" in response["html"]
    assert {"Event.Payload.user.name", "Event.Payload.tags.0.id", "Event.Pack.Labels.env"} <= set(
        response["paths"]["Src.Go"]
    )
    assert response["payloads"]["Src.Go"]["user"] == {"name": "<b>ann</b>"}
    for odd in ([["a"]], [[1, 2]], ["ab"], [[["x"], "y"]]):
        ask(editor, "events", {"pairs": odd}, 400)
    assert ask(editor, "events", {"pairs": [["", ""], ["\x00", "x"]] * 50})["paths"] == {}


def test_a_dry_run_shows_each_step_and_writes_nothing(editor: Client) -> None:
    event = {"event": "Go", "payload": {"word": "go", "user": {"name": "ann"}}}
    response = ask(editor, "try", {"flow": TEXT, "event": event, "results": {"hello": {"event": "Done"}}})
    assert not response["failed"]
    for text in ("An execution would start", "ann", "Event.Payload.word", "Wrk.Do", "result of hello"):
        assert text in response["html"], text
    response = ask(editor, "try", {"flow": TEXT, "event": {**event, "payload": {"word": "stop"}}})
    assert "No execution would start" in response["html"]
    assert response["html"].count("criteria false") == 1
    assert "the criteria are false" not in response["html"]
    for model in (Execution, Action, Event, FlowVersion, Change):
        assert not model.objects.exists()


def test_a_dry_run_on_a_stored_event(editor: Client) -> None:
    save(step(), follower("step-1"))
    tell(pack("Src"), "Go", {"word": "go", "user": {"name": "ann"}})
    response = ask(editor, "try", {"flow": TEXT, "eventId": Event.objects.get().id})
    assert "An execution would start" in response["html"]


def test_errors_of_a_dry_run_link_to_their_lines(editor: Client) -> None:
    event = {"event": "Go", "payload": {"word": "go"}}
    response = ask(
        editor, "try", {"flow": TEXT.replace("{{ Context.Who }}", "{{ datastore('none') }}"), "event": event}
    )
    assert 'data-line="8"' in response["html"]
    assert "steps[0].command.input.to" in response["html"]
    response = ask(editor, "try", {"flow": TEXT.replace("name: Go", "nam: Go"), "event": event})
    assert response["failed"]
    assert 'data-line="4"' in response["html"]
    response = ask(editor, "try", {"flow": TEXT, "event": {"payload": 1}})
    assert "event.event" in response["html"]
    for odd in ("x", "\x00", "x" * 1000):
        assert ask(editor, "try", {"flow": TEXT, "eventId": odd})["failed"]


def test_warnings_of_a_dry_run_link_to_their_lines(editor: Client) -> None:
    event = {"event": "Go", "payload": {"word": "go", "user": {"name": "ann"}}}
    text = TEXT.replace("{{ Context.Who }}", "{{ 'n/a'|integer }}")
    response = ask(editor, "try", {"flow": text, "event": event})
    assert 'data-line="8"' in response["html"]
    assert "&#x27;n/a&#x27; is not a number; it counts as 0" in response["html"]


def test_unusual_keys_of_payloads_and_labels_do_not_break_the_page(editor: Client) -> None:
    text = TEXT.replace(
        "packName: Wrk, name: Do, input", "packName: Wrk, packLabels: {items: x, '<b>': y}, name: Do, input", 1
    )
    event = {
        "event": "Go",
        "payload": {"word": "go", "items": "<i>"},
        "pack": {"name": "Src", "labels": {"items": "q"}},
    }
    response = ask(editor, "try", {"flow": text, "event": event})
    assert "items: x" in response["html"]
    assert "<i>" not in response["html"]
    assert "<b>" not in response["html"]
