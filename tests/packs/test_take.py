"""Takes: the action that a pack gets, and the constraints of the database."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flyte_site.db.table_sql import DirectWrites
from packs.models import Action, ActionState, Pack
from packs.queue import action_queue
from packs.queue.take import take as take_action
from tests.packs.actions import waiting
from tests.site.shape import problem, register_pack

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

FORM = "application/x-www-form-urlencoded"


def take(client: Client, pack: str, query: str = "") -> dict[str, Any] | None:
    """Take an action over HTTP, and return it; None for 204."""
    response = client.post(f"/v1/packs/{pack}/actions/take{query}")
    if response.status_code == 204:
        assert response.content == b""
        return None
    assert response.status_code == 200
    action: dict[str, Any] = json.loads(response.content)
    return action


def action_id(taken: dict[str, Any] | None) -> str:
    assert taken
    return str(taken["links"][0]["href"].split("/")[-2])


def test_a_taken_action_has_its_command_its_input_and_a_result_link(client: Client) -> None:
    register_pack("Wrk", env="x/y")
    action = waiting(name="Do it", input={"a": [1, 1.5, None, "é"], "b": 10**20})
    taken = take(client, "Wrk.env.x%2Fy".replace("%2F", "%252F"))
    assert taken == {
        "command": "Do it",
        "input": {"a": [1, 1.5, None, "é"], "b": 10**20},
        "links": [
            {
                "href": f"http://testserver/v1/packs/Wrk.env.x%2Fy/actions/{action.id}/result",
                "rel": "http://testserver/swagger#/actionResult",
            }
        ],
    }
    action.refresh_from_db()
    assert (action.state, action.is_queued, action.claimed_by) == (ActionState.PENDING, False, "Wrk.env.x/y")
    assert [entry["value"] for entry in action.state_log] == ["NEW", "PENDING"]


def test_the_oldest_action_is_taken_first_and_by_one_taker(client: Client) -> None:
    register_pack("Wrk")
    actions = [waiting() for _ in range(45)]
    assert [action_id(take(client, "Wrk")) for _ in actions] == [action.id for action in actions]
    assert take(client, "Wrk") is None


def test_a_pack_takes_actions_that_require_only_labels_it_has(client: Client) -> None:
    register_pack("Wrk", env="prod", az="b")
    wrong = [{"env": "dev"}, {"env": "prod", "az": "c"}, {"other": "x"}, {"env": ""}]
    for labels in wrong:
        waiting(labels=labels)
    right: list[dict[str, str]] = [{"az": "b"}, {}, {"az": "b", "env": "prod"}, {"env": "prod"}]
    expected = [waiting(labels=labels).id for labels in right]
    assert [action_id(take(client, "Wrk.az.b.env.prod")) for _ in right] == expected
    assert take(client, "Wrk.az.b.env.prod") is None
    assert Action.objects.filter(is_queued=True).count() == len(wrong)


def test_labels_with_quotes_and_commas_are_distinguished(client: Client) -> None:
    register_pack("Wrk", a='b","c":"d')
    waiting(labels={"a": "b", "c": "d"})
    right = waiting(labels={"a": 'b","c":"d'})
    assert action_id(take(client, "Wrk.a.b%22,%22c%22:%22d")) == right.id
    assert take(client, "Wrk.a.b%22,%22c%22:%22d") is None


@pytest.mark.parametrize("other", ["wrk", "Wrk2", "Wr", "WRK", "W%rk", "W_k"])
def test_a_pack_of_another_name_gets_nothing(client: Client, other: str) -> None:
    register_pack(other)
    waiting()
    assert take(client, other.replace("%", "%25")) is None


@pytest.mark.parametrize("parameter", ["actionName", "commandName"])
def test_a_take_can_be_limited_to_one_command(client: Client, parameter: str) -> None:
    register_pack("Wrk")
    other, matching = waiting(name="Other"), waiting(name="This & that")
    query = "?" + urlencode({parameter: "This & that"})
    assert action_id(take(client, "Wrk", query)) == matching.id
    assert take(client, "Wrk", query) is None
    assert take(client, "Wrk", f"?{parameter}=this") is None
    assert action_id(take(client, "Wrk", f"?{parameter}=")) == other.id


def test_both_parameters_together_select_either_command(client: Client) -> None:
    register_pack("Wrk")
    waiting(name="C")
    expected = [waiting(name="A").id, waiting(name="B").id]
    query = "?actionName=A&commandName=B"
    assert [action_id(take(client, "Wrk", query)) for _ in expected] == expected
    assert take(client, "Wrk", query) is None


def test_the_command_can_be_sent_as_a_form(client: Client) -> None:
    register_pack("Wrk")
    waiting(name="Other")
    matching = waiting(name="Dö")
    response = client.post("/v1/packs/Wrk/actions/take", urlencode({"actionName": "Dö"}), content_type=FORM)
    assert action_id(json.loads(response.content)) == matching.id


@pytest.mark.parametrize("kind", ["application/json", "text/plain", FORM, "multipart/form-data; boundary=x"])
def test_any_other_body_is_ignored(client: Client, kind: str) -> None:
    register_pack("Wrk")
    waiting()
    response = client.generic("POST", "/v1/packs/Wrk/actions/take", b"\xff{ nonsense", content_type=kind)
    assert response.status_code == 200


def test_a_command_name_with_nul_is_rejected(client: Client) -> None:
    register_pack("Wrk")
    waiting()
    problem(client.post("/v1/packs/Wrk/actions/take?commandName=a%00"), 400)
    problem(client.post("/v1/packs/Wrk/actions/take", "actionName=a%00", content_type=FORM), 400)
    assert Action.objects.get().is_queued


def test_a_pack_that_is_not_registered_takes_nothing(client: Client) -> None:
    action = waiting(pack_name="Ghost")
    problem(client.post("/v1/packs/Ghost/actions/take"), 404)
    action.refresh_from_db()
    assert action.is_queued


@pytest.mark.database
def test_the_cost_of_a_take_does_not_grow_with_the_queue(client: Client) -> None:
    register_pack("Wrk", env="prod")
    counts = []
    for _ in range(2):
        for number in range(60):
            waiting(labels={"env": "prod"} if number % 2 else {"env": "dev"})
        with CaptureQueriesContext(connection) as queries:
            assert take(client, "Wrk.env.prod")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6


@pytest.mark.database
def test_actions_for_others_cost_an_idle_pack_two_reads(client: Client) -> None:
    register_pack("Wrk", env="prod")
    for number in range(50):
        waiting(labels={"env": f"dev{number % 5}"})
    with CaptureQueriesContext(connection) as queries:
        assert take(client, "Wrk.env.prod") is None
    assert len(queries) == 2


@pytest.mark.database
def test_a_step_has_one_action_in_an_execution() -> None:
    owner = action_queue.ExecutionRef(correlation_id="c" * 24, flow_name="f", flow_uuid="u" * 24)
    draft = action_queue.ActionSpec("s", "Wrk", {}, "Do", None, {}, {})
    action_queue.enqueue(DirectWrites(), owner, [draft], timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        action_queue.enqueue(DirectWrites(), owner, [draft], timezone.now())
    assert Action.objects.count() == 1


@pytest.mark.database
@pytest.mark.parametrize(
    ("is_queued", "state"), [(True, ActionState.PENDING), (True, ActionState.FATAL), (False, ActionState.NEW)]
)
def test_only_a_new_action_can_be_queued(is_queued: bool, state: ActionState) -> None:
    action = waiting()
    with pytest.raises(IntegrityError), transaction.atomic():
        Action.objects.filter(id=action.id).update(is_queued=is_queued, state=state)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL skips rows that another taker claims")
def test_concurrent_takers_never_claim_the_same_action() -> None:
    pack = Pack.objects.create(identity="Wrk", name="Wrk", labels={}, last_seen=timezone.now())
    for _ in range(40):
        waiting()
    barrier = Barrier(8)
    claims: list[str] = []

    def record_claim(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if sql.startswith("UPDATE"):
            claims.append(sql)
        return execute(sql, *arguments)

    def take_five() -> list[str]:
        barrier.wait(60)
        try:
            with connection.execute_wrapper(record_claim):
                return [action.id for action in (take_action(pack) for _ in range(5)) if action]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        taken = [future.result(60) for future in [pool.submit(take_five) for _ in range(8)]]
    assert len(claims) == len(set(chain.from_iterable(taken))) == 40
