"""Large documents in the audit's API: lists have heads and stop at a number of bytes, details have the documents."""

import json
import random
import re
from typing import Any

import pytest
from django.test import Client

from audit import action_documents
from audit.action_documents import MAX_LISTED_BYTES
from flows.models import Event, Execution
from packs.models import Action, LargeValue, LargeValueUse
from tests.flows import builders as b
from tests.site.shape import problem

pytestmark = [pytest.mark.database, pytest.mark.django_db]

FLOWS = "/v1/audit/flows"
EVENTS = "/v1/audit/events"
LARGE_TEXT = random.Random(1).randbytes(MAX_LISTED_BYTES).hex()
SMALL_TEXT = "x" * 1000


def get(client: Client, path: str) -> tuple[dict[str, Any], str]:
    """Return the body and the target of the link to the next page."""
    response = client.get(path)
    assert response.status_code == 200, response.content
    match = re.fullmatch('<http://testserver(.+)>; rel="next"', response.headers.get("Link", ""))
    body: dict[str, Any] = json.loads(response.content)
    return body, match.group(1) if match else ""


def run_flow(payload: Any, executions: int = 1) -> None:
    """Run a flow of two steps that pass the payload on."""
    source, worker = b.pack("Src"), b.pack("Wrk")
    command = {"packName": "Wrk", "name": "Do", "input": {"text": "{{ Event.Payload.text }}"}}
    context = {"Text": "{{ Event.Payload.text }}"}
    b.save(
        b.step(id="one", command=command, context=context),
        b.follower("one", id="two", command=command, context=context),
    )
    for _ in range(executions):
        b.tell(source, payload=payload)
        b.work(worker, payload=payload)


@pytest.fixture(params=["references", "plain JSON"])
def large_execution(request: pytest.FixtureRequest) -> Execution:
    """Run a flow with a large payload, whose rows are as this release writes them, or as the one before did."""
    run_flow({"text": LARGE_TEXT, "n": 1})
    if request.param == "plain JSON":
        for action in Action.objects.all():
            action.save()
        LargeValue.objects.all().delete()
        LargeValueUse.objects.all().delete()
        Event.objects.update(payload={"text": LARGE_TEXT, "n": 1})
    return b.only_execution()


def test_a_list_has_the_heads_of_large_documents_and_a_detail_has_all(
    client: Client, large_execution: Execution
) -> None:
    (listed,) = get(client, FLOWS)[0]["flows"]
    detail, _ = get(client, f"{FLOWS}/{large_execution.id}")
    size = len(LARGE_TEXT)
    for step_id in ("one", "two"):
        action, full = listed["actions"][step_id], detail["actions"][step_id]
        assert full["trigger"]["payload"] == {"text": LARGE_TEXT, "n": 1}
        assert (full["input"], full["context"]) == ({"text": LARGE_TEXT}, {"Text": LARGE_TEXT})
        assert not {"inputBytes", "contextBytes", "historyBytes"} & set(full)
        assert not {"input", "context"} & set(action)
        for name in ("inputBytes", "contextBytes"):
            assert size < action[name] < size + 300
        assert size < action["trigger"].pop("payloadBytes") < size + 500
        assert action["trigger"] == {name: full["trigger"][name] for name in full["trigger"] if name != "payload"}
    assert listed["actions"]["one"]["result"]["event"] == "Done"
    assert detail["actions"]["one"]["result"]["payload"]["text"] == LARGE_TEXT
    assert len(json.dumps(listed)) < 5000


def test_a_list_of_events_has_the_size_of_a_large_payload(client: Client, large_execution: Execution) -> None:
    listed = get(client, EVENTS)[0]["events"]
    assert [("payload" in event, len(LARGE_TEXT) < event["payloadBytes"]) for event in listed] == [(False, True)] * 2
    event, _ = get(client, f"{EVENTS}/{large_execution.event_id}")
    assert event["payload"]["text"] == LARGE_TEXT
    assert "payloadBytes" not in event


def test_a_detail_leaves_out_what_exceeds_its_budget_and_a_step_has_it(
    client: Client, large_execution: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action_documents, "MAX_EXECUTION_BYTES", 3 * len(LARGE_TEXT))
    path = f"{FLOWS}/{large_execution.id}"
    actions = get(client, path)[0]["actions"]
    assert "payload" in actions["one"]["trigger"]
    assert actions["two"]["contextBytes"] > len(LARGE_TEXT)
    full, _ = get(client, f"{path}?stepId=two")
    assert list(full["actions"]) == ["two"]
    assert full["actions"]["two"]["context"] == {"Text": LARGE_TEXT}
    problem(client.get(f"{path}?stepId=three"), 404)


@pytest.mark.parametrize("query", ["", "actionName=Do", "flowName=flow&stepId=one", "start=2", "limit=4&start=1"])
def test_a_page_of_executions_stops_at_its_size_and_next_continues(
    client: Client, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_flow({"text": SMALL_TEXT}, executions=8)
    expected_ids = list(Execution.objects.order_by("-latest_action_id").values_list("id", flat=True))
    expected_ids = expected_ids[int(match.group(1)) if (match := re.search(r"start=(\d)", query)) else 0 :]
    monkeypatch.setattr(action_documents, "MAX_PAGE_BYTES", 30_000)
    monkeypatch.setattr(action_documents, "MAX_LOADED_ACTIONS", 5)
    path, pages = f"{FLOWS}?{query}", []
    while path:
        body, path = get(client, path)
        pages.append([flow["correlationId"] for flow in body["flows"]])
        assert len(json.dumps(body)) < 40_000
    assert [execution_id for page in pages for execution_id in page] == expected_ids
    assert len(pages) > 1


@pytest.mark.parametrize("query", ["", "packName=Src&event=Go", "flow=flow", "start=1", "flow=flow&start=1&limit=9"])
def test_a_page_of_events_stops_at_its_size_and_next_continues(
    client: Client, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_flow({"text": SMALL_TEXT}, executions=4)
    events = Event.objects.filter(pack_name="Src") if "packName" in query else Event.objects.all()
    # The results of the second step have no outcome in the flow.
    events = events.filter(heard=True) if "flow=" in query else events
    expected_ids = list(events.order_by("-id").values_list("id", flat=True))
    monkeypatch.setattr(action_documents, "MAX_PAGE_BYTES", 6_000)
    path, pages = f"{EVENTS}?{query}", []
    while path:
        body, path = get(client, path)
        pages.append([event["id"] for event in body["events"]])
    assert [event_id for page in pages for event_id in page] == expected_ids[1 if "start" in query else 0 :]
    assert max(map(len, pages)) == 3


def test_an_execution_that_is_larger_than_a_page_is_listed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    run_flow({"text": SMALL_TEXT}, executions=2)
    monkeypatch.setattr(action_documents, "MAX_PAGE_BYTES", 100)
    body, next_path = get(client, FLOWS)
    (listed,) = body["flows"]
    assert listed["actions"]["one"]["contextBytes"] > len(SMALL_TEXT)
    assert len(get(client, next_path)[0]["flows"]) == 1
    assert len(get(client, EVENTS)[0]["events"]) == 1


def test_an_event_with_many_outcomes_is_listed_with_all(client: Client) -> None:
    source = b.pack("Src")
    for number in range(150):
        b.save(b.step(), name=f"flow {number:0100}")
    b.tell(source)
    (event,) = get(client, EVENTS)[0]["events"]
    assert len(event["outcomes"]) == 150
    assert len(json.dumps(event["outcomes"])) > MAX_LISTED_BYTES
