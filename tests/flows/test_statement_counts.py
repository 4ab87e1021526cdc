"""Database statements of frequent pack requests, so that no change adds any unnoticed.

A test runs in a transaction, so the transaction of a result counts as a savepoint.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packs.models import Action
from tests.flows import builders as b

pytestmark = [pytest.mark.database, pytest.mark.django_db]

# PostgreSQL finds and claims an action in one statement, and writes an event or a result in one.
AT_ONCE = connection.vendor == "postgresql"
TAKE = 2 if AT_ONCE else 6


@contextmanager
def statements(count: int) -> Iterator[None]:
    with CaptureQueriesContext(connection) as queries:
        yield
    executed = [query["sql"][:80] for query in queries]
    assert len(executed) == count, executed


def post(client: Client, path: str, body: Any = None) -> Any:
    response = client.post(f"/v1/packs/{path}", json.dumps(body), content_type="application/json")
    assert response.status_code < 300
    return response


@pytest.fixture
def packs(client: Client) -> None:
    """Run a flow of two steps once, so that statements once per process or minute are not counted."""
    b.pack("Src")
    b.pack("Wrk")
    b.save(b.step(id="one"), b.follower("one", id="two"))
    post(client, "Src/events", {"event": "Go"})
    for _ in range(2):
        post(client, f"Wrk/actions/{take(client)}/result", {"event": "Done"})


def take(client: Client) -> str:
    post(client, "Wrk/actions/take")
    return Action.objects.get(state="PENDING").id


@pytest.mark.usefixtures("packs")
def test_an_event_costs_two_reads_and_its_inserts(client: Client) -> None:
    with statements(3 if AT_ONCE else 5):
        post(client, "Src/events", {"event": "Go"})


@pytest.mark.usefixtures("packs")
def test_an_event_without_a_subscribed_flow_costs_two_reads(client: Client) -> None:
    post(client, "Src/events", {"event": "Other"})
    with statements(2):
        post(client, "Src/events", {"event": "Other"})


@pytest.mark.usefixtures("packs")
def test_a_take_costs_the_read_of_the_pack_and_the_claim(client: Client) -> None:
    post(client, "Src/events", {"event": "Go"})
    with statements(TAKE):
        assert post(client, "Wrk/actions/take").status_code == 200
    with statements(2):
        assert post(client, "Wrk/actions/take").status_code == 204


def test_a_take_costs_the_same_for_a_pack_with_several_labels(client: Client) -> None:
    b.pack("Wrk", az="b", env="prod", zone="1")
    b.pack("Src")
    b.save(b.step(command={"packName": "Wrk", "name": "Do", "packLabels": {"env": "prod"}}))
    post(client, "Src/events", {"event": "Go"})
    with statements(TAKE):
        assert post(client, "Wrk.az.b.env.prod.zone.1/actions/take").status_code == 200


@pytest.mark.usefixtures("packs")
def test_a_result_costs_five_reads_and_its_writes_in_one_transaction(client: Client) -> None:
    post(client, "Src/events", {"event": "Go"})
    first = take(client)
    with statements(8 if AT_ONCE else 11):
        post(client, f"Wrk/actions/{first}/result", {"event": "Done"})
    last = take(client)
    with statements(8 if AT_ONCE else 9):
        post(client, f"Wrk/actions/{last}/result", {"event": "Done"})


@pytest.mark.usefixtures("packs")
def test_a_heartbeat_costs_two_reads_and_a_write(client: Client) -> None:
    post(client, "Src/events", {"event": "Go"})
    action = take(client)
    with statements(3):
        post(client, f"Wrk/actions/{action}/heartbeat")
