"""Dry runs over the API and from the command line."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from flows.models import Event, Execution, Flow
from packs.models import Action
from tests.flows import builders as b
from tests.site.shape import paths_of_errors, problem

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PATH = "/v1/flows/dry-run"
FLOW = b.document(b.step(id="a", criteria="{{ Event.Payload.n > 1 }}"), b.follower("a", id="b"))
TEXT = """
name: flow
steps:
  - id: a
    event: {packName: Src, name: Go}
    command: {packName: Wrk, name: Do, input: "{{ Event.Payload.n }}"}
"""


def post(client: Client, **body: Any) -> Any:
    return client.post(PATH, json.dumps(body), content_type="application/json")


def dry_run(client: Client, **body: Any) -> dict[str, Any]:
    """Dry-run the flow, and return the response with its steps by id."""
    response = post(client, **body)
    assert response.status_code == 200, response.content
    content: dict[str, Any] = response.json()
    return {**content, "steps": {step["stepId"]: step for step in content["steps"]}}


def test_a_dry_run_with_event_and_results_stores_nothing(client: Client) -> None:
    body = dry_run(client, flow=FLOW, event={"event": "Go", "payload": {"n": 2}}, results={"a": {"event": "Done"}})
    assert (body["flow"], body["starts"], body["event"]["pack"]["name"]) == ("flow", True, "Src")
    assert {step: outcome["outcome"] for step, outcome in body["steps"].items()} == {"a": "fired", "b": "fired"}
    assert body["warnings"][0]["path"] == "steps[0].event.packName"
    for model in (Flow, Event, Execution, Action):
        assert not model.objects.exists()


def test_the_flow_can_be_a_text_and_the_body_yaml(client: Client) -> None:
    event = {"event": "Go", "payload": {"n": 7}}
    assert dry_run(client, flow=TEXT, event=event)["steps"]["a"]["command"]["input"] == "7"
    assert dry_run(client, flow=json.dumps(FLOW), event=event)["starts"] is True
    body = "flow:" + TEXT.replace("\n", "\n  ") + "\nevent: {event: yes, payload: {n: 8}, pack: {name: Src}}"
    response = client.post(PATH, body, content_type="application/x-yaml")
    assert response.json()["event"]["event"] == "yes", "a name stays text"


def test_the_pack_is_named_by_id_or_by_name_and_labels(client: Client) -> None:
    b.pack("Src", env="x")
    for pack in ({"id": "Src.env.x"}, {"name": "Src", "labels": {"env": "x"}}):
        body = dry_run(client, flow=FLOW, event={"event": "Go", "payload": {"n": 2}, "pack": pack})
        assert body["event"]["pack"] == {"id": "Src.env.x", "name": "Src", "labels": {"env": "x"}}
    unknown = {"event": "Go", "pack": {"id": "None"}}
    assert paths_of_errors(post(client, flow=FLOW, event=unknown)) == ["event.pack.id"]


def test_a_stored_event_is_redacted_and_the_response_says_so(client: Client) -> None:
    source = b.pack("Src")
    b.save(b.step())
    for payload in ({"n": 2}, {"n": 2, "password": "abc"}):
        b.tell(source, payload=payload)
    plain, secret = Event.objects.order_by("id").values_list("id", flat=True)
    assert dry_run(client, flow=FLOW, eventId=plain)["eventMasked"] is False
    answer = dry_run(client, flow=FLOW, eventId=secret)
    assert (answer["eventMasked"], answer["event"]["payload"]) == (True, {"n": 2, "password": "••••••"})
    problem(post(client, flow=FLOW, eventId="0" * 24), 404)


BAD_STEP = {**b.step(id="a"), "criteria": "{{ 1 ="}


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({}, ["flow"]),
        ({"flow": FLOW}, ["event"]),
        ({"flow": FLOW, "event": {"event": "Go"}, "eventId": "x"}, ["event"]),
        ({"flow": FLOW, "event": {"payload": 1}}, ["event.event"]),
        ({"flow": FLOW, "event": "Go"}, ["event"]),
        ({"flow": FLOW, "event": {"event": "Go"}, "results": {"a": {}}}, ["results.a.event"]),
        ({"flow": FLOW, "event": {"event": "Go"}, "results": {"z": {"event": "Done"}}}, ["results.z"]),
        ({"flow": FLOW, "event": {"event": "Go"}, "results": []}, ["results"]),
        ({"flow": {"name": "x"}, "event": {"event": "Go"}}, ["flow.steps"]),
        ({"flow": 5, "event": {"event": "Go"}}, ["flow"]),
        ({"flow": b.document(BAD_STEP), "event": {"event": "Go"}}, ["flow.steps[0].criteria"]),
        ({"flow": "a: [", "event": {"event": "Go"}}, ["flow"]),
    ],
)
def test_invalid_input_is_an_error_with_its_path(client: Client, body: dict[str, Any], paths: list[str]) -> None:
    assert set(paths_of_errors(post(client, **body))) == set(paths)


def test_a_flow_with_syntax_errors_has_line_and_column(client: Client) -> None:
    for flow in ("name: x\nsteps: ]", b.document(BAD_STEP)):
        (error,) = problem(post(client, flow=flow, event={"event": "Go"}), 400)["errors"]
        assert (error["line"], error["column"] > 5) == ((2 if isinstance(flow, str) else 1), True)


def test_a_template_error_has_its_position_in_the_flows_text_or_in_the_body(client: Client) -> None:
    text = TEXT.replace("Event.Payload.n", "1|nope")
    (error,) = problem(post(client, flow=text, event={"event": "Go"}), 400)["errors"]
    line = text.split("\n")[error["line"] - 1]
    assert (error["path"], error["line"]) == ("flow.steps[0].command.input", 6)
    assert line[error["column"] - 1 :].startswith("nope")
    body = json.dumps({"event": {"event": "Go"}, "flow": b.document(b.step(criteria="{{ 1|nope }}"))}, indent=1)
    (error,) = problem(client.post(PATH, body, content_type="application/json"), 400)["errors"]
    assert error["path"] == "flow.steps[0].criteria"
    assert body.split("\n")[error["line"] - 1][error["column"] - 1 :].startswith("nope")


def test_a_dry_run_that_takes_too_long_is_an_error(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.simulate.dry_run.MAX_SECONDS", 0.0)
    assert paths_of_errors(post(client, flow=FLOW, event={"event": "Go", "payload": {"n": 2}})) == ["flow"]


def test_a_flow_can_have_the_name_of_the_route(client: Client) -> None:
    problem(client.get(PATH), 404)
    b.save(b.step(), name="dry-run")
    assert client.get(PATH).json()["name"] == "dry-run"
    assert client.delete(PATH).status_code == 204
    assert not Flow.objects.exists()


def run(folder: Path, flow: Any, *arguments: str, **files: Any) -> tuple[int, str]:
    """Write the files, run the command, and return its exit code and output; file names lack the suffix."""
    for name, value in {"flow": flow, **files}.items():
        (folder / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))
    out = StringIO()
    try:
        call_command("try_flow", folder / "flow.json", *arguments, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    except CommandError as error:
        return error.returncode, str(error)
    return 0, out.getvalue()


def test_the_command_prints_the_outcome_of_each_step(tmp_path: Path) -> None:
    event_option = f"--event={tmp_path}/event.json"
    event = {"event": "Go", "payload": {"n": 2}}
    code, out = run(
        tmp_path, FLOW, event_option, f"--result=a={tmp_path}/done.json", event=event, done={"event": "Done"}
    )
    assert code == 0
    for line in (
        "flow flow: would start",
        "Event.Payload.n is 2",
        "b: fired on the result of a",
        "command Wrk Do null",
    ):
        assert line in out
    code, out = run(tmp_path, FLOW, event_option, event=event)
    assert "b: not reached" in out
    code, out = run(tmp_path, FLOW, event_option, "--json", event={"event": "Go", "payload": {"n": 1}})
    assert (code, json.loads(out)["starts"]) == (1, False)


def test_the_command_exits_with_2_for_unreadable_input(tmp_path: Path) -> None:
    event = f"--event={tmp_path}/event.json"
    for flow, arguments, words in (
        ("name: x\nsteps: ]", [event], "flow.json: flow: invalid YAML"),
        ({"name": "x"}, [event], "flow.json: steps: required; must be a list"),
        (FLOW, ["--event=/none"], "/none: file not found"),
        (FLOW, [event, "--result=x"], "STEP=FILE"),
        (FLOW, ["--event=" + "0" * 24], f"event '{'0' * 24}' not found"),
    ):
        code, out = run(tmp_path, flow, *arguments, event={"event": "Go"})
        assert (code, words in out) == (2, True), out
    with pytest.raises(CommandError, match=r"^nofile: file not found$"):
        call_command("try_flow", "nofile", event)
    for arguments in (["{{ 1 }}", "--event=/nope"], ["--cases=/nope"]):
        with pytest.raises(CommandError, match=r"^/nope: file not found$"):
            call_command("try_template", *arguments)
    code, out = run(tmp_path, {"name": "x"}, event, event={})
    assert code == 2
    assert f"{tmp_path}/flow.json: steps: required; must be a list" in out
    assert f"{tmp_path}/event.json: event: required" in out


def test_a_time_without_a_zone_is_a_note(client: Client) -> None:
    event = {"event": "Go", "payload": {"n": 2}, "CreatedAt": "2026-11-21 05:30"}
    result = {"event": "Done", "createdAt": "2026-11-21"}

    body = dry_run(client, flow=FLOW, event=event, results={"a": result})

    assert body["event"]["createdAt"] == "2026-11-21T05:30:00.000Z"
    assert body["notes"] == [
        {"path": "event.createdAt", "message": "the time '2026-11-21 05:30' has no time zone and is read as UTC"},
        {"path": "results.a.createdAt", "message": "the time '2026-11-21' has no time zone and is read as UTC"},
    ]
    assert dry_run(client, flow=FLOW, event={"event": "Go", "createdAt": 1795239000}, results={})["notes"] == []


def test_a_filter_that_reads_a_time_without_a_zone_is_a_warning(client: Client) -> None:
    flow = b.document(b.step(id="a", criteria="{{ Event.Payload.at|timezone:'Europe/Berlin'|date:'H' == '06' }}"))
    for at in ("2026-11-21 05:30", "2026-11-21T05:30:00Z"):
        step = dry_run(client, flow=flow, event={"event": "Go", "payload": {"at": at}})["steps"]["a"]
        assert step["outcome"] == "fired"
        messages = [warning["message"] for warning in step.get("warnings", [])]
        assert messages == ([] if at.endswith("Z") else [f"the time '{at}' has no time zone and is read as UTC"])
