"""Flows, events and results over REST."""

import gzip
import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from flows.models import Event, Execution, FlowVersion
from packs.models import Action
from tests.flows import builders as b

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

YAML = "application/x-yaml"


def post(path: str, body: Any, content_type: str = "application/json", **headers: str) -> HttpResponse:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return Client().post(path, data, content_type=content_type, headers=headers)  # type: ignore[return-value]


def errors(response: HttpResponse) -> dict[str, dict[str, Any]]:
    assert response["Content-Type"].startswith("application/problem+json")
    return {error["path"]: error for error in json.loads(response.content)["errors"]}


def test_a_flow_is_saved_and_returned_as_posted() -> None:
    flow = b.document(b.step(id="a", criteria="{{ true }}"), b.step(), description="what for", labels={"env": "dev"})
    saved = post("/v1/flows", flow)
    assert (saved.status_code, saved.content, saved["Location"]) == (201, b"", "http://testserver/v1/flows/flow")
    returned = Client().get("/v1/flows/flow").json()
    del returned["links"]
    for step in flow["steps"]:
        step["command"]["input"] = None
    assert returned == flow


@pytest.mark.parametrize("kind", [YAML, "application/yaml", "text/yaml", "application/x-yaml; charset=utf-8"])
def test_yaml_is_accepted_under_each_of_its_media_types(kind: str) -> None:
    text = "name: y\nsteps:\n- event: {name: E, packName: P}\n  command: {name: C, packName: Q}\n"
    assert post("/v1/flows", text, kind).status_code == 201
    assert FlowVersion.objects.get().source == text


def test_names_and_labels_in_yaml_stay_text() -> None:
    text = """
    name: yes
    labels: {on: no, n: 010}
    steps:
    - id: 1
      event: {name: off, packName: 5, packLabels: {y: 1.50}}
      command: {name: null_, packName: Q, input: {n: 010, when: 2019-01-02, yes: no}}
    - id: 2
      dependsOn: [1]
      event: {name: E, packName: Q}
      command: {name: C, packName: Q}
    """
    assert post("/v1/flows", text, YAML).status_code == 201
    document = FlowVersion.objects.get().document
    first, second = document["steps"]
    assert (document["name"], document["labels"]) == ("yes", {"on": "no", "n": "010"})
    assert first["event"] == {"name": "off", "packName": "5", "packLabels": {"y": "1.50"}}
    assert first["command"]["input"] == {"n": 8, "when": "2019-01-02", "yes": False}
    assert (first["id"], second["dependsOn"]) == ("1", ["1"])


def test_all_errors_are_returned_at_once_with_positions_in_the_body() -> None:
    flow = b.document(b.step(criteria="x\n  {{ 1 +", junk=1), {"event": {"name": "E"}}, name="")
    text = json.dumps(flow, indent=2)
    by_path = errors(post("/v1/flows", text))
    assert {"name", "steps[0].junk", "steps[0].criteria", "steps[1].event.packName", "steps[1].command"} <= set(by_path)
    lines = text.split("\n")
    for path, key in (("name", "name"), ("steps[0].junk", "junk"), ("steps[0].criteria", "criteria")):
        assert f'"{key}":' in lines[by_path[path]["line"] - 1]
    assert not FlowVersion.objects.exists()


def test_a_template_error_has_its_line_and_column_in_the_body() -> None:
    text = """\
# a comment
name: y
steps:
- event: {name: E, packName: P}
  criteria: |
    true
    {{ 1 | nope }}
  command: {name: C, packName: Q, input: "{{ 2 | nope }}"}
"""
    by_path = errors(post("/v1/flows", text, YAML))
    positions = {path: (error["line"], error["column"]) for path, error in by_path.items()}
    assert positions == {
        "steps[0].criteria": (7, text.split("\n")[6].index("nope") + 1),
        "steps[0].command.input": (8, text.split("\n")[7].index("nope") + 1),
    }
    (error,) = errors(post("/v1/flows", json.dumps(b.document(b.step(criteria="{{ 1 | nope }}"))))).values()
    assert (error["line"], error["column"]) == (
        1,
        json.dumps(b.document(b.step(criteria="{{ 1 | nope }}"))).index("nope") + 1,
    )


def test_errors_in_a_very_long_body_have_no_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.definition.editor.locations.MAX_LOCATED_LENGTH", 100)
    (error,) = errors(post("/v1/flows", b.document(b.step(criteria="{{ 1 | nope }}")))).values()
    assert "line" not in error


@pytest.mark.parametrize(
    ("text", "kind", "line"), [('{"name":\n', "application/json", 2), ("name: x\nsteps: [", YAML, 2)]
)
def test_syntax_errors_have_a_line(text: str, kind: str, line: int) -> None:
    (error,) = errors(post("/v1/flows", text, kind)).values()
    assert error["line"] >= line


def test_warnings_are_in_a_header_and_do_not_prevent_saving() -> None:
    b.pack("Src")
    saved = post("/v1/flows", b.document(b.step(command={"packName": "Wörk", "name": "Do"})))
    assert saved.status_code == 201
    assert saved["X-Flyte-Warning"] == "steps[0].command.packName: no pack 'W\\u00f6rk' is registered"


def test_the_warning_header_ends_with_the_number_of_omitted_warnings() -> None:
    steps = [b.step(command={"packName": f"Pack{number}", "name": "Do"}) for number in range(100)]
    warning = post("/v1/flows", b.document(*steps))["X-Flyte-Warning"]
    assert len(warning) < 1600
    entries = warning.split("; ")
    assert entries[-1] == f"and {200 - len(entries) + 1} more"


def test_a_flow_whose_packs_and_commands_are_registered_has_no_warnings() -> None:
    post("/v1/packs", {"name": "Src"})
    post("/v1/packs", {"name": "Wrk", "commands": [{"name": "Do"}]})
    assert "X-Flyte-Warning" not in post("/v1/flows", b.document(b.step()))


def test_every_saved_version_is_kept() -> None:
    for description in ("first", "second", "second"):
        post("/v1/flows", b.document(b.step(), description=description))
    Client().delete("/v1/flows/flow")
    assert [version.document["description"] for version in FlowVersion.objects.all()] == ["first", "second", "second"]


def test_enabled_is_kept_unless_a_new_version_sets_it() -> None:
    def enabled() -> Any:
        return Client().get("/v1/flows/flow").json().get("enabled", True)

    post("/v1/flows", b.document(b.step(), enabled=False))
    post("/v1/flows", b.document(b.step()))
    assert enabled() is False
    post("/v1/flows", b.document(b.step(), enabled=True))
    assert enabled() is True


def test_the_list_continues_at_a_next_link() -> None:
    for number in range(1003):
        b.save(b.step(), name=f"f{number:04}")
    first = Client().get("/v1/flows").json()
    following = [link["href"] for link in first["links"] if link["rel"] == "next"]
    second = Client().get(following[0]).json()
    names = [flow["name"] for flow in first["flows"] + second["flows"]]
    assert names == [f"f{number:04}" for number in range(1003)]
    assert not [link for link in second["links"] if link["rel"] == "next"]


def test_an_event_runs_the_valid_flow_and_the_audit_shows_the_failed_one() -> None:
    post("/v1/packs", {"name": "Src"})
    bad = {"packName": "Wrk", "name": "Do", "input": "{{ datastore('none') }}"}
    post("/v1/flows", b.document(b.step(command=bad), name="bad"))
    post("/v1/flows", b.document(b.step(), name="good"))
    response = post("/v1/packs/Src/events", {"event": "Go", "payload": {"n": 1}})
    assert (response.status_code, response.content) == (202, b"")
    assert [run["name"] for run in Client().get("/v1/audit/flows").json()["flows"]] == ["good"]
    (event,) = Client().get("/v1/audit/events").json()["events"]
    outcomes = {outcome["flow"]: outcome["steps"][0] for outcome in event["outcomes"]}
    assert outcomes["good"]["outcome"] == "fired"
    assert (outcomes["bad"]["outcome"], outcomes["bad"]["path"]) == ("error", "steps[0].command.input")
    assert "none" in outcomes["bad"]["message"]
    assert Client().get(event["links"][0]["href"]).json() == event


def test_the_sender_of_an_event_comes_from_the_path() -> None:
    post("/v1/packs", {"name": "Src"})
    post("/v1/packs", {"name": "Oth"})
    post("/v1/flows", b.document(b.step()))
    spoofed = {"event": "Go", "pack": {"Name": "Src", "Id": "Src"}}
    assert post("/v1/packs/Oth/events", spoofed).status_code == 202
    assert not Execution.objects.exists()


def test_a_compressed_body_is_rejected_with_the_reason() -> None:
    b.pack("Src")
    response = post("/v1/packs/Src/events", gzip.compress(b'{"event": "Go"}'), **{"Content-Encoding": "gzip"})
    assert errors(response)[""]["message"] == "unsupported content encoding 'gzip'; send the body without it"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "event"),
        ({"event": ""}, "event"),
        ({"event": None}, "event"),
        ({"event": 5}, "event"),
        ({"event": "x" * 256}, "event"),
        ({"event": "a\x00"}, "event"),
        ({"event": "a\x85"}, "event"),
        ({"event": "a\u2028b", "createdAt": None}, "event"),
        ({"event": "Go", "createdAt": "yesterday"}, "createdAt"),
        ({"event": "Go", "createdAt": 5}, "createdAt"),
        ([], ""),
        (None, ""),
        ("Go", ""),
    ],
)
def test_an_invalid_event_is_rejected_with_its_path(body: Any, path: str) -> None:
    b.pack("Src")
    assert path in errors(post("/v1/packs/Src/events", json.dumps(body)))


@pytest.mark.parametrize(
    ("kind", "number", "message"),
    [
        ("application/json", "NaN", "invalid JSON: NaN is not allowed; use null or a string"),
        ("application/json", "-Infinity", "invalid JSON: -Infinity is not allowed; use null or a string"),
        ("application/json", "1e400", "number too large: 1e400; use a string"),
        ("application/json", "-1e400", "number too large: -1e400; use a string"),
        ("application/json", "9" * 5000, f"number too large: {'9' * 20}…; use a string"),
        ("application/x-yaml", ".nan", "invalid number .nan: not allowed in JSON"),
        ("application/x-yaml", "-.inf", "invalid number -.inf: not allowed in JSON"),
    ],
)
def test_a_number_that_json_cannot_hold_is_rejected_with_the_reason(kind: str, number: str, message: str) -> None:
    b.pack("Src")
    body = f'{{"event": "Go", "payload": {{"a": [{number}]}}}}'
    response = Client().post("/v1/packs/Src/events", body, content_type=kind)
    assert (response.status_code, response.json()["errors"][0]["message"]) == (400, message)


def test_half_of_a_surrogate_pair_in_an_event_is_replaced() -> None:
    b.pack("Src")
    b.save(b.step(command={"packName": "Wrk", "name": "Do", "input": "{{ Event.Payload.text }}"}))
    body = r'{"event": "Go", "payload": {"text": "half \ud83d, pair \ud83d\ude00"}}'
    assert post("/v1/packs/Src/events", body).status_code == 202
    assert Action.objects.get().input == "half \ufffd, pair 😀"


def test_keys_of_an_event_are_case_insensitive_and_unknown_keys_ignored() -> None:
    b.save(b.step())
    b.pack("Src")
    body = {"Event": "Go", "PAYLOAD": {"Event": "kept"}, "CreatedAt": "2020-01-02T03:04:05.5+02:00", "x": 1}
    assert post("/v1/packs/Src/events", body).status_code == 202
    event = Event.objects.get()
    assert event.payload == {"Event": "kept"}
    assert event.created_at.isoformat() == "2020-01-02T01:04:05.500000+00:00"


@pytest.mark.parametrize(
    "created_at",
    [
        "2020-01-02T03:04:05.5Z",
        "2020-01-02T04:04:05.5+0100",
        "2020-01-02 03:04:05.5 +0000 UTC",
        "2020-01-02 03:04:05.5",
        "1577934245.5",
        1577934245.5,
        1577934245500,
    ],
)
def test_the_time_of_an_event_is_read_in_common_formats(created_at: Any) -> None:
    b.save(b.step())
    b.pack("Src")
    assert post("/v1/packs/Src/events", {"event": "Go", "createdAt": created_at}).status_code == 202
    assert Event.objects.get().created_at.isoformat() == "2020-01-02T03:04:05.500000+00:00"


def test_events_and_results_in_yaml_keep_their_names_as_text() -> None:
    source = b.pack("Src")
    b.save(b.step(event={"packName": "Src", "name": "on"}))
    assert post(f"/v1/packs/{source}/events", "event: on\npayload: {b: yes}\n", YAML).status_code == 202
    assert Event.objects.get().payload == {"b": True}


def test_responses_to_results() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.pack("Oth")
    b.save(b.step())
    b.tell(source)
    action = b.take(worker)
    link = f"/v1/packs/Wrk/actions/{action.id}/result"
    assert post("/v1/packs/Oth/actions/none/result", {"event": "Done"}).status_code == 404
    assert post(f"/v1/packs/none/actions/{action.id}/result", {"event": "Done"}).status_code == 404
    assert post(f"/v1/packs/Oth/actions/{action.id}/result", {"event": "Done"}).status_code == 409
    assert post(link, {}).status_code == 400
    assert post(link, {"event": "Done", "payload": {"r": 1}, "createdAt": "2020-01-01T00:00:00Z"}).status_code == 202
    assert post(link, {"event": "Done", "payload": {"r": 1}}).status_code == 202, "times don't count"
    assert post(link, {"event": "Done", "payload": {"r": 2}}).status_code == 409
    assert Action.objects.get().result["createdAt"] == "2020-01-01T00:00:00.000Z"


def test_a_deleted_pack_is_not_found_and_its_actions_stay_queued() -> None:
    source = b.pack("Src")
    b.save(b.step())
    b.tell(source)
    b.pack("Wrk").delete()
    assert Client().post("/v1/packs/Wrk/actions/take").status_code == 404
    b.pack("Wrk")
    assert Client().post("/v1/packs/Wrk/actions/take").status_code == 200


@pytest.mark.parametrize("name", ["a\nb", "x" * 300])
def test_a_name_that_cannot_be_stored_is_rejected(name: str) -> None:
    assert "name" in errors(post("/v1/flows", b.document(b.step(), name=name)))


def test_a_flow_that_stays_disabled_gives_a_warning() -> None:
    post("/v1/flows", b.document(b.step(), enabled=False))
    again = post("/v1/flows", b.document(b.step()))
    assert again["X-Flyte-Warning"].startswith("enabled: the flow is disabled")
    assert Client().get("/v1/flows/flow").json()["enabled"] is False
    assert Client().get("/v1/flows").json()["flows"][0]["enabled"] is False
    assert "enabled:" not in post("/v1/flows", b.document(b.step(), enabled=True))["X-Flyte-Warning"]
    assert "enabled" not in Client().get("/v1/flows").json()["flows"][0]


def test_the_error_for_yaml_with_a_wrong_content_type_names_the_right_one() -> None:
    (error,) = errors(post("/v1/flows", "name: x\nsteps: []\n", "application/x-www-form-urlencoded")).values()
    assert "for YAML, send 'content-type: application/x-yaml'" in error["message"]
    assert "content type" not in next(iter(errors(post("/v1/flows", "{")).values()))["message"]


@pytest.mark.parametrize("kind", ["application/json", YAML])
def test_an_empty_body_is_reported_as_empty(kind: str) -> None:
    assert errors(post("/v1/flows", " \n", kind))[""]["message"] == "request body is empty"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"name": "x", "name": "y", "steps": []}', "application/json"),
        ("name: x\nsteps: []\nname: y\n", YAML),
        ("name: x\nsteps:\n- {context: {}, context: {}}\n", YAML),
    ],
)
def test_a_duplicate_key_in_a_flow_is_an_error(text: str, kind: str) -> None:
    assert "duplicate key" in errors(post("/v1/flows", text, kind))[""]["message"]


def test_an_unquoted_template_in_yaml_gets_a_hint_to_quote_it() -> None:
    text = "name: x\nsteps:\n- criteria: {{ true }}\n"
    assert "in quotes" in errors(post("/v1/flows", text, YAML))[""]["message"]


def test_an_undeclared_event_is_a_warning_if_the_pack_declares_events() -> None:
    post("/v1/packs", {"name": "Src", "events": [{"name": "Gone"}], "commands": [{"name": "C", "events": ["Ended"]}]})
    post("/v1/packs", {"name": "Wrk", "commands": [{"name": "Do"}]})
    warning = post("/v1/flows", b.document(b.step()))["X-Flyte-Warning"]
    assert warning == "steps[0].event.name: pack 'Src' has no event 'Go'; did you mean 'Gone'?"
    for name in ("Gone", "Ended", "FATAL"):
        flow = b.document(b.step(event={"packName": "Src", "name": name}))
        assert "X-Flyte-Warning" not in post("/v1/flows", flow)


def test_parts_that_can_never_work_give_warnings() -> None:
    b.pack("Src")
    bare = post("/v1/flows", b.document(b.step(criteria="Event.Payload.x")))["X-Flyte-Warning"]
    assert "steps[0].criteria: contains no {{" in bare.replace("\\u2026", "…")
    assert post("/v1/flows", b.document())["X-Flyte-Warning"] == "steps: empty list: the flow does nothing"


def test_the_response_to_a_rejected_result_has_the_reason() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.pack("Oth")
    b.save(b.step())
    b.tell(source)
    action = Action.objects.get()

    def refused(pack: str, payload: int = 1) -> str:
        answer = post(f"/v1/packs/{pack}/actions/{action.id}/result", {"event": "Done", "payload": payload})
        return str(json.loads(answer.content)["detail"])

    assert "requires a pack with a different name or labels" in refused("Oth")
    assert "has not been taken, so it cannot have a result" in refused("Wrk")
    b.give(worker, b.take(worker))
    assert "SUCCESS" in refused("Wrk", 2)
