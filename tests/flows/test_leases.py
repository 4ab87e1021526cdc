"""Leases of actions, and late results."""

from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from flows.engine import control, jobs
from packs.models import Action, ActionState
from packs.queue.results import ResultStatus
from tests.flows import builders as b
from tests.flows.attempts import command, get_action, let_time_pass

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

H = "http://testserver/v1/packs/Wrk.env.a;b,%20c/actions"


def test_the_duration_of_a_lease_comes_from_the_step_or_the_setting() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(timeout="10m")), b.step(id="b", command=command()))
    b.tell(source)
    with override_settings(FLYTE_ACTION_LEASE_SECONDS=60):
        ends = [b.take(worker).lease_ends_at for _ in range(2)]
    now = timezone.now()
    durations = [round((end - now).total_seconds(), -1) for end in ends if end]
    assert durations == [600, 60]


def test_an_unexpired_lease_stays() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(timeout="10m")))
    b.tell(source)
    b.take(worker)
    let_time_pass(minutes=9)
    assert jobs.expire_leases() == 0
    assert get_action().state == ActionState.PENDING


def test_an_expired_lease_without_retries_is_fatal_and_flows_can_react() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk", env="x")
    b.save(b.step(id="a", command=command(timeout="10m")), b.follower("a", id="alarm", event="FATAL"))
    b.save(b.step(event={"packName": "Wrk", "name": "FATAL", "packLabels": {"env": "x"}}), name="watching")
    b.tell(source)
    b.take(worker)
    let_time_pass(minutes=11)
    assert jobs.expire_leases(dry_run=True) == 1
    assert get_action().state == ActionState.PENDING
    assert jobs.expire_leases() == 1
    action = get_action()
    assert action.state == ActionState.FATAL
    assert action.result["payload"] == {
        "reason": "lease expired",
        "command": "Do",
        "packId": "Wrk.env.x",
        "attempt": 1,
    }
    assert get_action("alarm").trigger == action.result
    assert Action.objects.filter(flow_name="watching").count() == 1
    assert jobs.expire_leases() == 0, "once"


def test_an_expired_lease_is_retried_while_retries_are_left() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(timeout="1m", retries=1)), b.follower("a", id="alarm", event="FATAL"))
    b.tell(source)
    b.take(worker)
    let_time_pass(minutes=2)
    assert jobs.expire_leases() == 1
    assert (get_action().state, get_action().is_queued) == (ActionState.NEW, True)
    assert b.fired(b.only_execution()) == {"a"}, "a retried FATAL fires nothing"
    again = b.take(worker)
    assert (again.attempt, again.input) == (2, "")
    let_time_pass(minutes=2)
    jobs.expire_leases()
    assert get_action().state == ActionState.FATAL
    assert b.fired(b.only_execution()) == {"a", "alarm"}
    assert [(entry["attempt"], entry["result"]["payload"]["reason"]) for entry in get_action().attempt_log] == [
        (1, "lease expired"),
        (2, "lease expired"),
    ]


def test_only_the_current_attempts_result_counts_and_a_late_one_is_logged() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(timeout="1m", retries=1)))
    b.tell(source)
    first = b.take(worker)
    let_time_pass(minutes=2)
    jobs.expire_leases()
    assert b.give(worker, first, payload="too late") is ResultStatus.REJECTED, "waiting for the next attempt"
    second = b.take(worker)
    assert b.give(worker, first, payload="far too late") is ResultStatus.REJECTED
    assert b.give(worker, second, payload="in time") is ResultStatus.ACCEPTED
    assert b.give(worker, first, payload="long after") is ResultStatus.REJECTED
    assert get_action().result["payload"] == "in time"
    late = [entry["result"]["payload"] for entry in get_action().attempt_log if entry.get("late")]
    assert late == ["too late", "far too late", "long after"]


def test_a_result_after_the_final_lease_expiry_is_logged() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(timeout="1m")))
    b.tell(source)
    taken = b.take(worker)
    let_time_pass(minutes=2)
    jobs.expire_leases()
    assert b.give(worker, taken, payload="too late") is ResultStatus.REJECTED
    ended, late = get_action().attempt_log
    assert (ended["leaseEnded"], late["late"], late["result"]["payload"]) == (True, True, "too late")


def test_a_contradicting_result_of_a_finished_action_is_not_logged() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"))
    b.tell(source)
    taken = b.take(worker)
    b.give(worker, taken, payload=1)
    assert b.give(worker, taken, payload=2) is ResultStatus.REJECTED
    assert get_action().attempt_log == []


def test_a_heartbeat_restarts_the_lease_only_for_its_claimer() -> None:
    source, worker, other = b.pack("Src"), b.pack("Wrk"), b.pack("Wrk", env="x")
    b.save(b.step(id="a", command=command(timeout="10m", retries=1)))
    b.tell(source)

    def beat(pack: Any, query: str = "") -> int:
        return Client().post(f"/v1/packs/{pack}/actions/{get_action().id}/heartbeat{query}").status_code

    assert beat(worker) == 409, "not taken yet"
    b.take(worker)
    let_time_pass(minutes=9)
    assert beat(other) == 409, "taken by another pack"
    assert beat(worker, "?attempt=2") == 409
    assert beat(worker) == 204
    let_time_pass(minutes=9)
    assert jobs.expire_leases() == 0
    let_time_pass(minutes=2)
    assert jobs.expire_leases() == 1
    assert beat(worker) == 409, "its lease expired"
    assert Client().post("/v1/packs/Wrk/actions/none/heartbeat").status_code == 404


def test_a_take_returns_the_lease_and_the_url_to_extend_it() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk", env="a;b, c")
    b.save(b.step(id="a", command=command(timeout="10m", retries=1)), b.step(id="b", command=command()))
    b.tell(source)
    first, second = (Client().post(f"/v1/packs/{worker.identity}/actions/take") for _ in range(2))
    assert first.headers["Link"] == f'<{H}/{get_action().id}/heartbeat>; rel="heartbeat"'
    assert (first.headers["Flyte-Lease"], second.headers["Flyte-Lease"]) == ("600", "86400")
    let_time_pass(minutes=11)
    jobs.expire_leases()
    again = Client().post(f"/v1/packs/{worker.identity}/actions/take")
    assert again.headers["Link"] == f'<{H}/{get_action().id}/heartbeat?attempt=2>; rel="heartbeat"'
    assert Client().post(again.headers["Link"].partition(">")[0][1:]).status_code == 204


def test_an_empty_take_returns_no_lease() -> None:
    b.pack("Wrk")
    empty = Client().post("/v1/packs/Wrk/actions/take")
    assert (empty.status_code, {"Link", "Flyte-Lease"} & {*empty.headers}) == (204, set())


def test_the_lease_of_a_cancelled_action_cannot_be_extended() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command()))
    b.tell(source)
    taken = Client().post(f"/v1/packs/{worker.identity}/actions/take")
    control.cancel_execution(get_action().correlation_id)
    assert Client().post(taken.headers["Link"].partition(">")[0][1:]).status_code == 409
