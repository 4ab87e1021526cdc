"""The REST API of the audit: executions and events, by filters and pages."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flows.models import Execution, FlowVersion
from flyte_site.core.ids import new_id
from packs.models import Action, Pack
from tests.flows import builders as b
from tests.reading import statements
from tests.site.shape import paths_of_errors, problem

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

H = "http://testserver"
FLOWS = "/v1/audit/flows"
EVENTS = "/v1/audit/events"


def get(client: Client, path: str, **query: Any) -> dict[str, Any]:
    response = client.get(f"{path}?{urlencode(query)}")
    assert response.status_code == 200, response.content
    body: dict[str, Any] = json.loads(response.content)
    return body


def found_flows(client: Client, **query: Any) -> list[str]:
    """Return the flow names of the executions that match, in the order of the list."""
    return [flow["name"] for flow in get(client, FLOWS, **query)["flows"]]


def run(source: Pack, name: str, /, **command: Any) -> None:
    """Save a flow of one step, start it, and replace it by one that never fires."""
    full_command = {"packName": "Wrk", "name": "Do", **command}
    b.save(b.step(id=f"{name}-step", command=full_command), name=name)
    b.tell(source)
    b.save(b.step(event={"packName": "Nobody", "name": "Never"}), name=name)


@pytest.fixture
def source() -> Pack:
    return b.pack("Src")


def test_the_lists_are_empty_before_the_first_run(client: Client) -> None:
    for path, key in ((FLOWS, "flows"), (EVENTS, "events")):
        body = get(client, path)
        assert body[key] == []
        assert [(link["rel"], link["href"]) for link in body["links"]][:2] == [("self", H + path), ("up", f"{H}/v1")]


def test_an_execution_shows_its_flow_and_every_action(client: Client, source: Pack) -> None:
    worker = b.pack("Wrk", env="x")
    command = {"packName": "Wrk", "name": "Do", "packLabels": {"env": "x"}, "input": {"n": "{{ Event.Payload.n }}"}}
    flow = b.save(
        b.step(id="one", context={"N": "{{ Event.Payload.n }}"}, command=command),
        b.follower("one", id="two"),
        description="what for",
        labels={"team": "a"},
    )
    b.tell(source, payload={"n": 5})
    b.work(worker, payload={"ok": True})
    (listed,) = get(client, FLOWS)["flows"]
    execution = b.only_execution()
    assert (listed["name"], listed["description"], listed["labels"]) == ("flow", "what for", {"team": "a"})
    assert (listed["uuid"], listed["correlationId"]) == (flow.version_id, execution.id)
    assert [step["id"] for step in listed["steps"]] == ["one", "two"]
    assert listed["links"] == [{"href": f"{H}{FLOWS}/{execution.id}", "rel": "self"}]
    first, second = listed["actions"]["one"], listed["actions"]["two"]
    assert (first["packName"], first["packLabels"], first["context"]) == ("Wrk", {"env": "x"}, {"N": "5"})
    assert (first["input"], first["correlationId"], first["flowName"]) == ({"n": "5"}, execution.id, "flow")
    assert [state["value"] for state in first["states"]] == ["NEW", "PENDING", "SUCCESS"]
    assert first["state"] == first["states"][-1]
    assert (first["trigger"]["event"], first["trigger"]["payload"]) == ("Go", {"n": 5})
    assert (first["result"]["event"], first["result"]["payload"]) == ("Done", {"ok": True})
    assert first["result"]["pack"] == {"id": "Wrk.env.x", "name": "Wrk", "labels": {"env": "x"}}
    assert second["state"]["value"] == "NEW"
    assert not {"result", "packLabels"} & set(second)
    assert second["trigger"] == first["result"]


def test_an_execution_by_its_id_equals_its_entry_in_the_list(client: Client, source: Pack) -> None:
    run(source, "flow")
    (listed,) = get(client, FLOWS)["flows"]
    assert get(client, f"{FLOWS}/{listed['correlationId']}") == listed
    for unknown in ("0" * 24, "not-an-id"):
        problem(client.get(f"{FLOWS}/{unknown}"), 404)


def test_a_queued_action_that_no_registered_pack_can_take_is_marked_as_orphaned(client: Client, source: Pack) -> None:
    command = {"packName": "Wrk", "name": "Do", "packLabels": {"env": "x"}}
    b.save(b.step(id="lost", command=command), b.step(id="found"))
    other, worker = b.pack("Wrk", env="y"), b.pack("Wrk", env="x", az="b")
    b.tell(source)

    def waits_for() -> dict[str, Any]:
        (listed,) = get(client, FLOWS)["flows"]
        assert get(client, f"{FLOWS}/{listed['correlationId']}") == listed
        return {step: action.get("waitsFor") for step, action in listed["actions"].items()}

    assert waits_for() == {"lost": None, "found": None}
    worker.delete()
    assert waits_for() == {"lost": {"pack": "Wrk", "orphaned": True}, "found": None}
    other.delete()
    assert waits_for() == {step: {"pack": "Wrk", "orphaned": True} for step in ("lost", "found")}
    again = b.pack("Wrk", env="x")
    b.take(again)
    b.take(again)
    again.delete()
    assert waits_for() == {"lost": None, "found": None}


def test_yaml_has_the_same_content(client: Client, source: Pack) -> None:
    run(source, "flow", input={"text": "two\nlines", "number": 1.5})
    response = client.get(FLOWS, headers={"accept": "application/x-yaml"})
    assert yaml.safe_load(response.content) == get(client, FLOWS)


def test_a_step_that_could_not_be_evaluated_is_an_error_of_its_execution(client: Client, source: Pack) -> None:
    b.pack("Wrk")
    b.save(b.step(id="fine"), b.step(id="broken", criteria="{{ datastore('none') }}"))
    b.tell(source)
    (listed,) = get(client, FLOWS)["flows"]
    (error,) = listed["errors"]
    assert (error["stepId"], error["outcome"], error["path"]) == ("broken", "error", "steps[1].criteria")
    assert "none" in error["message"]


def test_recently_active_executions_come_first(client: Client, source: Pack) -> None:
    worker = b.pack("Wrk")
    for name in ("a", "b", "c"):
        b.save(b.step(id="one"), b.follower("one"), name=name)
    b.tell(source)
    assert found_flows(client) == ["c", "b", "a"]
    b.work(worker)
    assert found_flows(client) == ["a", "c", "b"]


@pytest.fixture
def filtered_executions(source: Pack) -> None:
    """Create executions with different values of the filtered fields, the newest last."""
    run(source, "plain")
    run(source, "named", name="Other Command")
    run(source, "packed", packName="Else")
    run(source, "labelled", packLabels={"env": "prod", "az": "b"})
    run(source, "quoted", packLabels={'a"b': 'x,"env":"prod"', "env": 'prod","az":"b'})
    run(source, "odd", packLabels={"a": "b:c", "k:1": "v,w", "é": "ü", "p%": "q_r", "back\\": "sl\\ash"})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"flowName": "named"}, ["named"]),
        ({"flowName": "none"}, []),
        ({"flowName": "NAMED"}, []),
        ({"flowName": ""}, ["odd", "quoted", "labelled", "packed", "named", "plain"]),
        ({"stepId": "packed-step"}, ["packed"]),
        ({"stepId": "packed"}, []),
        ({"actionName": "Other Command"}, ["named"]),
        ({"actionName": "other command"}, []),
        ({"actionPackName": "Else"}, ["packed"]),
        ({"actionPackName": "els"}, []),
        ({"actionPackLabels": "env:prod"}, ["labelled"]),
        ({"actionPackLabels": "env:prod,az:b"}, ["labelled"]),
        ({"actionPackLabels": " az : b , env : prod "}, ["labelled"]),
        ({"actionPackLabels": "env:prod,az:c"}, []),
        ({"actionPackLabels": "env:PROD"}, []),
        ({"actionPackLabels": "ENV:prod"}, []),
        ({"actionPackLabels": "env:pro"}, []),
        ({"actionPackLabels": "env:prod_"}, []),
        ({"actionPackLabels": "env:%"}, []),
        ({"actionPackLabels": "nv:prod"}, []),
        ({"actionPackLabels": 'a"b:x'}, []),
        ({"actionPackLabels": 'env:prod"'}, []),
        ({"actionPackLabels": 'env":"prod'}, []),
        ({"actionPackLabels": "a:b:c"}, ["odd"]),
        ({"actionPackLabels": "a:b"}, []),
        ({"actionPackLabels": "é:ü"}, ["odd"]),
        ({"actionPackLabels": "p%:q_r"}, ["odd"]),
        ({"actionPackLabels": "p_:q%r"}, []),
        ({"actionPackLabels": "back\\:sl\\ash"}, ["odd"]),
        ({"actionPackLabels": "back:slash"}, []),
        ({"actionPackLabels": "env", "limit": 1}, ["odd"]),
        ({"actionPackLabels": ",,", "limit": 1}, ["odd"]),
        (
            {"flowName": "labelled", "stepId": "labelled-step", "actionName": "Do", "actionPackName": "Wrk"},
            ["labelled"],
        ),
        ({"flowName": "labelled", "actionName": "Other Command"}, []),
        ({"unknown": "1", "limit": 2}, ["odd", "quoted"]),
    ],
)
@pytest.mark.usefixtures("filtered_executions")
def test_filters_match_exactly(client: Client, query: dict[str, Any], expected: list[str]) -> None:
    assert found_flows(client, **query) == expected


def test_all_filters_of_actions_must_match_the_same_action(client: Client, source: Pack) -> None:
    b.save(
        b.step(id="one", command={"packName": "Wrk", "name": "A"}),
        b.step(id="two", command={"packName": "Wrk", "name": "B", "packLabels": {"env": "x"}}),
    )
    b.tell(source)
    assert found_flows(client, stepId="one", actionName="A") == ["flow"]
    assert found_flows(client, stepId="one", actionName="B") == []
    assert found_flows(client, actionName="A", actionPackLabels="env:x") == []
    assert found_flows(client, actionName="B", actionPackLabels="env:x") == ["flow"]


def test_executions_are_found_by_their_state(client: Client, source: Pack) -> None:
    worker = b.pack("Wrk")
    for name, result in (("good", "Done"), ("bad", "FATAL"), ("still", "")):
        run(source, name)
        if result:
            b.work(worker, result)
    for state, name in (("succeeded", "good"), ("failed", "bad"), ("running", "still")):
        assert found_flows(client, state=state) == [name]
    assert paths_of_errors(client.get(FLOWS, {"state": "dreaming"})) == ["state"]


def test_no_filter_value_causes_a_server_error(client: Client, source: Pack) -> None:
    run(source, "flow")
    for name in ("flowName", "state", "stepId", "actionName", "actionPackName", "actionPackLabels", "start", "limit"):
        for value in ("\0", "a:\0", "'; --", "x" * 5000, "\ud83d".encode("utf-8", "surrogatepass"), "%", "[]"):
            assert client.get(FLOWS, {name: value}).status_code in (200, 400), (name, value)
    for name in ("packName", "event", "start", "limit"):
        assert client.get(EVENTS, {name: "\0"}).status_code in (200, 400), name


def bulk(count: int) -> list[str]:
    """Insert executions of two actions each, without a flow; return their ids, newest first."""
    version = FlowVersion.objects.create(flow_name="bulk", document={"name": "bulk", "steps": []})
    now, executions, actions = timezone.now(), [], []
    for number in range(count):
        execution = Execution(flow_name="bulk", version=version, event_id=new_id(), started_at=now)
        for step in ("a", "b"):
            values = {"correlation_id": execution.id, "step_id": step, "flow_name": "bulk", "flow_uuid": version.id}
            state = {"state_log": [{"value": "NEW", "time": "2026-11-21T00:00:00.000Z"}], "trigger": {"event": "Go"}}
            actions.append(Action(**values, **state, pack_name="Wrk", labels_key="{}", name=f"Do {number % 3}"))
        execution.latest_action_id = actions[-1].id
        executions.append(execution)
    Execution.objects.bulk_create(executions)
    Action.objects.bulk_create(actions)
    return [execution.id for execution in reversed(executions)]


def ids(client: Client, **query: Any) -> list[str]:
    return [flow["correlationId"] for flow in get(client, FLOWS, **query)["flows"]]


def test_pages_are_cut_by_start_and_limit(client: Client) -> None:
    newest_first = bulk(60)
    assert ids(client) == newest_first[:50]
    assert ids(client, limit=5) == newest_first[:5]
    assert ids(client, start=10, limit=5) == newest_first[10:15]
    assert ids(client, start=55) == newest_first[55:]
    assert ids(client, start=60) == ids(client, start=10_000) == ids(client, limit=0) == []
    assert ids(client, start="", limit="") == newest_first[:50]
    assert ids(client, actionName="Do 0", start=2, limit=3) == newest_first[2::3][2:5]


def test_a_page_has_at_most_500(client: Client) -> None:
    newest_first = bulk(501)
    assert ids(client, limit=500) == ids(client, limit=501) == ids(client, limit=10**9) == newest_first[:500]


@pytest.mark.parametrize("path", [FLOWS, EVENTS])
@pytest.mark.parametrize("query", [{"start": 10_001}, {"start": 10**11}, {"olderThan": "x"}, {"olderThan": "A" * 24}])
def test_an_invalid_start_of_a_page_is_an_error_with_its_path(client: Client, path: str, query: dict[str, Any]) -> None:
    assert paths_of_errors(client.get(path, query)) == list(query)


def test_the_header_link_leads_to_older_executions_with_the_same_filters(client: Client) -> None:
    newest_first = bulk(60)
    matching = newest_first[2::3][1:]
    path, seen = f"{FLOWS}?{urlencode({'actionName': 'Do 0', 'start': 1, 'limit': 6})}", []
    while path:
        response = client.get(path)
        seen.append([flow["correlationId"] for flow in response.json()["flows"]])
        path = _next_of(response)
        assert path.startswith(f"{H}{FLOWS}?actionName=Do+0&limit=6&olderThan=") or not path
    assert seen == [matching[0:6], matching[6:12], matching[12:18], matching[18:]]


def test_the_header_link_leads_to_older_events(client: Client, source: Pack) -> None:
    b.save(b.step())
    for _ in range(5):
        b.tell(source)
    first = client.get(f"{EVENTS}?limit=3&packName=Src")
    second = client.get(_next_of(first))
    assert [len(response.json()["events"]) for response in (first, second)] == [3, 2]
    assert _next_of(second) == ""
    assert _next_of(client.get(f"{EVENTS}?limit=0")) == ""


def _next_of(response: Any) -> str:
    """Return the target of the Link header, or '' if it is missing."""
    match = re.fullmatch('<(.+)>; rel="next"', response.headers.get("Link", ""))
    return match.group(1) if match else ""


@pytest.mark.parametrize("path", [FLOWS, EVENTS])
@pytest.mark.parametrize("parameter", ["start", "limit"])
@pytest.mark.parametrize("value", ["-1", "abc", "1.5", "1e3", " 1", "+1", "0x1", "٣", "9" * 13])
def test_start_and_limit_must_be_whole_numbers(client: Client, path: str, parameter: str, value: str) -> None:
    assert paths_of_errors(client.get(path, {parameter: value})) == [parameter]


@pytest.mark.database
@pytest.mark.parametrize("query", [{}, {"actionName": "Do 0"}, {"actionPackLabels": "a:b"}, {"flowName": "bulk"}])
def test_a_list_takes_as_many_queries_for_fifty_executions_as_for_five(client: Client, query: dict[str, str]) -> None:
    bulk(150)
    counts = []
    for limit in (5, 50):
        with CaptureQueriesContext(connection) as queries:
            get(client, FLOWS, limit=limit, **query)
        counts.append(len(statements(queries)))
    assert counts[0] == counts[1] <= 7


def test_an_event_shows_its_outcome_in_each_flow(client: Client) -> None:
    source = b.pack("Src", env="x")
    b.save(b.step(id="yes"), b.step(id="no", criteria="false"), name="fires")
    b.save(b.step(id="other", event={"packName": "Src", "name": "Go", "packLabels": {"env": "y"}}), name="other labels")
    b.save(b.step(id="bad", criteria="{{ datastore('none') }}"), name="breaks")
    b.tell(source, payload={"n": [1, None]})
    (listed,) = get(client, EVENTS)["events"]
    assert (listed["event"], listed["payload"]) == ("Go", {"n": [1, None]})
    assert listed["pack"] == {"id": "Src.env.x", "name": "Src", "labels": {"env": "x"}}
    assert listed["links"] == [{"href": f"{H}{EVENTS}/{listed['id']}", "rel": "self"}]
    outcomes = {outcome["flow"]: outcome for outcome in listed["outcomes"]}
    assert {name: [step["outcome"] for step in outcome["steps"]] for name, outcome in outcomes.items()} == {
        "fires": ["fired", "criteria"],
        "other labels": ["labels"],
        "breaks": ["error"],
    }
    execution = b.only_execution()
    assert outcomes["fires"]["correlationId"] == execution.id
    assert "correlationId" not in outcomes["breaks"]
    (labels,) = outcomes["other labels"]["steps"]
    assert (labels["wanted"], labels["had"]) == ({"env": "y"}, {"env": "x"})
    (error,) = outcomes["breaks"]["steps"]
    assert (error["path"], "none" in error["message"]) == ("steps[0].criteria", True)
    assert get(client, f"{EVENTS}/{listed['id']}") == listed


def test_an_unknown_event_is_404(client: Client) -> None:
    for unknown in ("0" * 24, "x"):
        problem(client.get(f"{EVENTS}/{unknown}"), 404)


def test_events_are_found_by_pack_and_name_newest_first(client: Client) -> None:
    packs = [b.pack(name) for name in ("P", "Q")]
    names = [(pack, event) for event in ("E", "F") for pack in packs]
    b.save(*(b.step(event={"packName": pack.name, "name": event}) for pack, event in names))
    for pack, event in names:
        b.tell(pack, event)

    def search(**query: Any) -> list[tuple[str, str]]:
        return [(event["pack"]["name"], event["event"]) for event in get(client, EVENTS, **query)["events"]]

    assert search() == [("Q", "F"), ("P", "F"), ("Q", "E"), ("P", "E")]
    assert search(packName="P") == [("P", "F"), ("P", "E")]
    assert search(event="E") == [("Q", "E"), ("P", "E")]
    assert search(packName="Q", event="E") == [("Q", "E")]
    assert search(packName="q") == search(event="e") == search(packName="P", event="G") == []
    assert search(start=1, limit=2) == [("P", "F"), ("Q", "E")]


@pytest.mark.database
def test_listing_events_takes_two_queries_however_many_there_are(client: Client, source: Pack) -> None:
    b.save(b.step())
    for _ in range(10):
        b.tell(source)
    with CaptureQueriesContext(connection) as queries:
        assert len(get(client, EVENTS)["events"]) == 10
    assert len(statements(queries)) == 2


def test_the_audit_only_reads(client: Client) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in (FLOWS, EVENTS, f"{EVENTS}/x"):
            problem(client.generic(method, path), 405)
