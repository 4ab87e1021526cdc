"""Diagnosis of flows that did not run."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from flows.definition import store
from flows.engine.diagnostics import MAX_HINTS, explain_event, explain_flow, find_flow_event_ids
from flows.models import Event, EventSubscription, Flow
from tests.flows import builders as b

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def subscribed_step(pack: str, event: str, **changes: Any) -> dict[str, Any]:
    return b.step(event={"packName": pack, "name": event}, **changes)


def hints() -> dict[str, str]:
    """Return the hints for the newest event by flow."""
    return {hint.flow_name: hint.message for hint in explain_event(Event.objects.order_by("-id")[0])}


def test_near_misses_name_the_flows_and_the_difference() -> None:
    b.save(subscribed_step("Src", "Go"), name="disabled", enabled=False)
    b.save(subscribed_step("Oth", "Go"), name="other pack")
    b.save(subscribed_step("src", "Go"), name="small pack")
    b.save(subscribed_step("Src", "go"), name="small name")
    b.save(subscribed_step("Src", "Went"), name="another event")
    b.save(subscribed_step("Src", "Go", criteria="false"), name="heard it")
    b.tell(b.pack("Src"))
    assert hints() == {
        "disabled": "subscribes to this event, but is disabled",
        "other pack": "subscribes to Go of Oth, not of Src",
        "small pack": "subscribes to Go of src, not of Src (names are case-sensitive)",
        "small name": "subscribes to go, not to Go (names are case-sensitive)",
    }


def test_a_flow_that_was_saved_later_is_marked() -> None:
    b.tell(b.pack("Src"))
    b.save(b.step(), name="late")
    assert hints() == {"late": "subscribes to this event now, but was saved or enabled after it was received"}


def test_hints_are_limited_and_cost_three_queries() -> None:
    for number in range(MAX_HINTS + 10):
        b.save(subscribed_step(f"P{number}", "Go"), name=f"flow {number}")
    b.tell(b.pack("Src"))
    event = Event.objects.get()
    with CaptureQueriesContext(connection) as queries:
        assert len(explain_event(event)) == MAX_HINTS
    assert len(queries) == 3


def test_subscriptions_to_an_event_name_are_found_by_an_index() -> None:
    plan = EventSubscription.objects.filter(event_name="Go").explain()
    assert connection.vendor != "sqlite" or "listeners_by_event" in plan


def test_the_outcomes_of_recent_events_are_listed_for_triggers_and_dependent_steps() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", criteria="{{ Event.Payload > 1 }}"), b.follower("a", id="b", criteria="false"))
    b.save(b.step(), name="other")
    for number in range(3):
        b.tell(source, payload=number)
    b.work(worker)
    b.work(worker)
    b.work(worker)
    b.work(worker)
    entries = explain_flow(Flow.objects.get(name="flow"))
    outcomes = [
        (entry.event.name, [(step["stepId"], step["outcome"]) for step in entry.outcome["steps"]]) for entry in entries
    ]
    assert outcomes == [
        ("Done", [("b", "criteria")]),
        ("Go", [("a", "fired")]),
        ("Go", [("a", "criteria")]),
        ("Go", [("a", "criteria")]),
    ]
    assert [len(explain_flow(Flow.objects.get(name="flow"), limit)) for limit in (0, 1, 2)] == [0, 1, 2]


def test_events_of_a_flow_over_the_api(client: Client) -> None:
    source = b.pack("Src")
    b.save(b.step(criteria="false"), subscribed_step("Src", "Else"), name="mine")
    b.save(b.step(), name="other's")
    for name in ("Go", "Else", "Go"):
        b.tell(source, name)
    b.save(b.step(criteria="false"), subscribed_step("Src", "Else", id="x"), name="new")

    def search(**query: Any) -> list[str]:
        return [event["event"] for event in client.get("/v1/audit/events", query).json()["events"]]

    assert search(flow="mine") == ["Go", "Else", "Go"]
    assert search(flow="mine", event="Else") == ["Else"]
    assert search(flow="mine", packName="Oth") == []
    assert search(flow="mine", start=1, limit=1) == ["Else"]
    assert (
        search(flow="mine", start=3) == search(flow="mine", limit=0) == search(flow="new") == search(flow="none") == []
    )
    store.delete_flow("mine")
    assert search(flow="mine") == ["Go", "Else", "Go"], "also for a deleted flow"


def test_events_of_a_flow_are_read_by_the_index_of_their_names() -> None:
    b.save(b.step(), b.follower("step-1"))
    with CaptureQueriesContext(connection) as queries:
        find_flow_event_ids("flow", 20)
    assert len(queries) == 3, "the version, and one for each event that a step waits for"
