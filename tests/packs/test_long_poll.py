"""`take?wait=` over Django's test client, the query for ready actions, and announcements."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from flyte_site.db.table_sql import DirectWrites
from packs.models import Action, Pack
from packs.queue import long_poll
from packs.queue.long_poll import LongPollHub, QueuedAction
from packs.queue.retries import NO_DELAY, requeue
from tests.packs.actions import waiting as enqueue
from tests.site.shape import problem, register_pack

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LongPollHub]:
    """Replace the hub of the process by one that admits one waiter and finds nothing."""
    replacement = LongPollHub(lambda names: [], max_waiters=1)
    monkeypatch.setattr(long_poll, "long_poll_hub", lambda: replacement)
    yield replacement
    replacement.stop()


@pytest.mark.parametrize("value", ["-1", "1.5", "x", "30s", "1e1", "%20", "٣"])
def test_a_wait_that_is_not_an_integer_is_rejected(client: Client, hub: LongPollHub, value: str) -> None:
    register_pack("Wrk")
    action = enqueue()
    body = problem(client.post(f"/v1/packs/Wrk/actions/take?wait={value}"), 400)
    assert [error["path"] for error in body["errors"]] == ["wait"]
    action.refresh_from_db()
    assert action.is_queued


@pytest.mark.parametrize("query", ["", "?wait=", "?wait=0", "?wait=1", "?wait=30", "?wait=31", "?wait=999999"])
def test_a_ready_action_is_returned_at_once(client: Client, hub: LongPollHub, query: str) -> None:
    register_pack("Wrk")
    enqueue()
    response = client.post(f"/v1/packs/Wrk/actions/take{query}")
    assert (response.status_code, response.headers["Flyte-Long-Poll"]) == (200, "30")
    assert hub.waiter_count == 0


def test_an_unknown_pack_does_not_wait(client: Client, hub: LongPollHub) -> None:
    problem(client.post("/v1/packs/Ghost/actions/take?wait=30"), 404)


def test_an_idle_wait_reads_once_and_writes_nothing(client: Client, hub: LongPollHub) -> None:
    register_pack("Wrk")
    with CaptureQueriesContext(connection) as queries:
        response = client.post("/v1/packs/Wrk/actions/take?wait=1")
    assert (response.status_code, "Retry-After" in response.headers) == (204, False)
    assert [query["sql"].split()[0] for query in queries] in (["SELECT", "SELECT"], ["SELECT", "WITH"])


def test_a_poll_beyond_the_limit_gets_a_retry_after(client: Client, hub: LongPollHub) -> None:
    register_pack("Wrk")
    with hub.register(Pack(name="Other"), 0):
        response = client.post("/v1/packs/Wrk/actions/take?wait=30")
        assert response.status_code == 204
        assert 3 <= int(response.headers["Retry-After"]) <= 7
        enqueue()
        assert client.post("/v1/packs/Wrk/actions/take?wait=30").status_code == 200


def test_a_stopping_server_admits_no_polls(client: Client, hub: LongPollHub) -> None:
    register_pack("Wrk")
    hub.stop()
    response = client.post("/v1/packs/Wrk/actions/take?wait=30")
    assert (response.status_code, "Retry-After" in response.headers) == (204, True)


def test_registration_and_takes_return_the_maximum_wait(client: Client, hub: LongPollHub) -> None:
    registered = client.post("/v1/packs", {"name": "Wrk"}, content_type="application/json")
    taken = client.post("/v1/packs/Wrk/actions/take")
    assert [response.headers["Flyte-Long-Poll"] for response in (registered, taken)] == ["30", "30"]
    assert "Retry-After" not in taken.headers


def test_long_polling_can_be_disabled(client: Client, hub: LongPollHub, settings: Settings) -> None:
    settings.FLYTE_LONG_POLL_SECONDS = 0
    registered = client.post("/v1/packs", {"name": "Wrk"}, content_type="application/json")
    taken = client.post("/v1/packs/Wrk/actions/take?wait=30")
    assert taken.status_code == 204
    assert not {"Flyte-Long-Poll", "Retry-After"} & {*registered.headers, *taken.headers}


def test_the_query_finds_names_and_labels_of_ready_actions() -> None:
    for name, labels in (("A", {}), ("A", {"env": "x"}), ("A", {"env": "x"}), ("B", {"z": "1", "b": "2"})):
        enqueue(name, labels=labels)
    enqueue("C")
    taken, later = enqueue("A", labels={"env": "taken"}), enqueue("A", labels={"env": "later"})
    Action.objects.filter(id=taken.id).update(is_queued=False, state="PENDING")
    Action.objects.filter(id=later.id).update(attempt=1, ready_at=timezone.now() + timedelta(hours=1))
    ready = long_poll.find_ready({"A", "B", "none"})
    assert sorted(ready) == [("A", '{"env":"x"}'), ("A", "{}"), ("B", '{"b":"2","z":"1"}')]


@pytest.mark.database
def test_the_query_is_one_statement_and_uses_the_index_of_queued_actions() -> None:
    with CaptureQueriesContext(connection) as queries:
        long_poll.find_ready({"A", "B"})
    assert len(queries) == 1
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {queries[0]['sql']}")
            steps = [str(row[-1]) for row in cursor.fetchall()]
        plan = [step for step in steps if "packs_action" in step or " later " in step]
        assert len([step for step in plan if step.startswith("SEARCH packs_action USING INDEX queued_actions")]) == 4, (
            plan
        )
        assert len([step for step in plan if step.startswith("SEARCH later USING COVERING INDEX actions_by_pack")]) == 1
        assert len(plan) == 5, plan


def test_a_queued_action_is_announced_after_the_commit(
    announced: list[QueuedAction], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        enqueue("A")
        assert announced == []
    assert [action.pack_name for action in announced] == ["A"]


def test_a_rolled_back_action_is_not_announced(
    announced: list[QueuedAction], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        with transaction.atomic():
            enqueue("A")
            transaction.set_rollback(True)
        enqueue("B")
    assert [action.pack_name for action in announced] == ["B"]


def test_a_requeued_action_is_announced(
    announced: list[QueuedAction], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    action = enqueue("A")
    with django_capture_on_commit_callbacks(execute=True):
        requeue(DirectWrites(), action, {"event": "FATAL"}, timezone.now(), NO_DELAY)
    assert [action.pack_name for action in announced] == ["A"]


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[QueuedAction]:
    """Return the list of the actions that are announced to the hub of the process."""
    queued: list[QueuedAction] = []

    class RecordingHub(LongPollHub):
        def wake(self, actions: Any) -> None:
            queued.extend(actions)

    recorder = RecordingHub(lambda _: [], max_waiters=0)
    monkeypatch.setattr(long_poll, "long_poll_hub", lambda: recorder)
    return queued
