"""The event history: stored events, samples and pruning."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from flows.engine import event_history
from flows.models import Event, Execution
from flyte_site.core.runtime import runtime
from packs.models import Action
from tests.flows import builders as b
from tests.site.shape import paths_of_errors

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def payloads() -> list[Any]:
    return [event.payload for event in Event.objects.order_by("id")]


def test_the_first_unmatched_event_is_stored_without_outcomes() -> None:
    source = b.pack("Src", env="x")
    for number in range(3):
        b.tell(source, payload=number)
    (event,) = Event.objects.all()
    assert (event.payload, event.outcomes, event.heard, event.pack_labels) == (0, [], False, {"env": "x"})


def test_each_pack_and_name_has_its_own_sample() -> None:
    for sender in (b.pack("Src"), b.pack("Src", env="x"), b.pack("Oth")):
        for name in ("Go", "Went"):
            b.tell(sender, name)
    assert Event.objects.count() == 6


def test_further_unmatched_events_cost_no_query() -> None:
    source = b.pack("Src")
    b.tell(source)
    with CaptureQueriesContext(connection) as queries:
        b.tell(source)
    assert len(queries) == 1, "only the query for subscriptions"


def test_an_unmatched_result_is_stored_with_its_execution() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step())
    b.tell(source)
    b.work(worker, payload={"r": 1})
    result = Event.objects.get(name="Done")
    assert (result.heard, result.payload, result.correlation_id) == (False, {"r": 1}, b.only_execution().id)


def count_samples(count: int, interval: float) -> int:
    """Count the events that are sampled, of `count` events that arrive at this interval in seconds."""
    sampler, event = event_history.UnmatchedEventSampler(), b.event(b.pack("Src"), "Go")
    return sum(sampler.should_keep(event, number * interval) for number in range(count))


@pytest.mark.parametrize(
    ("count", "interval", "sampled"), [(1, 1, 1), (1000, 0.001, 1), (60, 1, 1), (61, 1, 2), (10, 60, 10)]
)
def test_one_unmatched_event_per_minute_is_stored(count: int, interval: float, sampled: int) -> None:
    assert count_samples(count, interval) == sampled


def test_many_event_names_store_few_events_and_little_memory() -> None:
    sampler, source = event_history.UnmatchedEventSampler(), b.pack("Src")
    sampled = sum(sampler.should_keep(b.event(source, f"E{number}"), number / 1000) for number in range(10_000))
    assert sampled == event_history.MAX_SAMPLES_PER_INTERVAL
    for minute in range(100):
        for number in range(60):
            sampler.should_keep(b.event(source, f"{minute} {number}"), 100 + minute * 60)
    assert len(sampler._last_sampled) == event_history.MAX_TRACKED_NAMES


@override_settings(FLYTE_EVENT_SAMPLES=2)
def test_pruning_keeps_the_last_samples_and_all_matched_events(monkeypatch: pytest.MonkeyPatch) -> None:
    source = b.pack("Src")
    b.save(b.step(), name="unsubscribed soon")
    b.tell(source, payload="heard")
    b.save(b.step(event={"packName": "Src", "name": "Else"}), name="unsubscribed soon")
    for number in range(4):
        runtime.reset()
        b.tell(source, payload=number)
    assert payloads() == ["heard", 2, 3]


def test_the_total_number_of_samples_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_history, "MAX_SAMPLES", 3)
    source = b.pack("Src")
    for number in range(5):
        b.tell(source, f"E{number}")
    assert sorted(Event.objects.values_list("name", flat=True)) == ["E2", "E3", "E4"]


@pytest.mark.parametrize("settings", [{"FLYTE_EVENT_SAMPLES": 0}, {"FLYTE_EVENT_KEEP": 0}])
def test_sampling_can_be_disabled(settings: dict[str, int]) -> None:
    with override_settings(**settings):
        b.tell(b.pack("Src"))
    assert not Event.objects.exists()


def test_keeping_0_events_stores_none_and_deletes_stored_ones() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.follower("a"))
    b.tell(source)
    assert Event.objects.count() == 1
    with override_settings(FLYTE_EVENT_KEEP=0):
        b.tell(source)
        b.work(worker)
    assert not Event.objects.exists()
    assert (Execution.objects.count(), Action.objects.count()) == (2, 3)


@override_settings(FLYTE_EVENT_KEEP_BYTES=20)
def test_only_the_size_of_a_large_payload_is_stored_but_the_flow_reads_it(client: Client) -> None:
    source = b.pack("Src")
    b.save(b.step(command={"packName": "Wrk", "name": "Do", "input": "{{ Event.Payload.text }}"}))
    for size in (9, 10):
        b.tell(source, payload={"text": "x" * size})
    fits, large = Event.objects.order_by("id")
    assert (fits.payload, fits.payload_bytes) == ({"text": "x" * 9}, 0)
    assert (large.payload, large.payload_bytes) == (None, 21)
    assert Action.objects.order_by("id").values_list("input", flat=True)[1] == "x" * 10
    body = client.get(f"/v1/audit/events/{large.id}").json()
    assert ("payload" in body, body["payloadBytes"]) == (False, 21)
    body = {"flow": b.document(b.step()), "eventId": large.id}
    assert paths_of_errors(client.post("/v1/flows/dry-run", body, content_type="application/json")) == ["eventId"]


def test_recent_events_are_returned_newest_first_by_an_index() -> None:
    source, labelled = b.pack("Src"), b.pack("Src", env="x")
    b.save(b.step())
    for number, sender in enumerate((source, labelled, source)):
        b.tell(sender, payload=number)
    b.tell(source, "Else")
    assert [event.payload for event in event_history.find_recent_events("Src", "Go")] == [2, 1, 0]
    assert [event.payload for event in event_history.find_recent_events("Src", "Go", 1)] == [2]
    plan = Event.objects.filter(pack_name="Src", name="Go").order_by("-id")[:5].explain()
    assert connection.vendor != "sqlite" or "events_by_name" in plan


def test_the_audit_shows_unmatched_events(client: Client) -> None:
    b.tell(b.pack("Src"), payload=5)
    (listed,) = client.get("/v1/audit/events", {"packName": "Src"}).json()["events"]
    assert (listed["event"], listed["payload"], listed["outcomes"]) == ("Go", 5, [])
