"""Run control: cancel, retry, replay."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client

from flows.engine import control
from flows.models import Execution, ExecutionState
from packs.models import Action, ActionState
from packs.queue.results import ResultStatus
from tests.flows import builders as b
from tests.site.shape import problem

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PATIENCE = 30.0
# Time for the cancellation to reach its lock; if it takes longer, the test proves less, but does not fail.
HEAD_START_SECONDS = 0.2


def post(path: str, **query: str) -> HttpResponse:
    return Client().post(path, query_params=query)  # type: ignore[return-value]


def audit() -> Any:
    return Client().get(f"/v1/audit/flows/{b.only_execution().id}").json()


def test_actions_of_a_cancelled_execution_cannot_be_taken_or_finished() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.step(id="b"), b.follower(["a", "b"], id="c"))
    b.tell(source)
    taken = b.take(worker)
    assert post(f"/v1/audit/flows/{b.only_execution().id}/cancel").status_code == 204
    with pytest.raises(AssertionError, match="nothing waits"):
        b.take(worker)
    assert b.give(worker, taken, payload="late") is ResultStatus.REJECTED
    assert Action.objects.get(id=taken.id).attempt_log[0]["result"]["payload"] == "late"
    assert b.fired(b.only_execution()) == {"a", "b"}
    assert b.only_execution().state == ExecutionState.CANCELLED


@pytest.mark.django_db(transaction=True)
def test_the_state_log_continues_if_an_action_is_taken_during_its_cancellation() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"))
    b.tell(source)
    execution = b.only_execution()
    started = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Execution.objects.select_for_update().get(id=execution.id)
            cancelled = pool.submit(cancel_in_thread, execution.id, started)
            assert started.wait(PATIENCE)
            time.sleep(HEAD_START_SECONDS)
            b.take(worker)
        cancelled.result(PATIENCE)
    states = Action.objects.get().state_log
    assert [entry["value"] for entry in states] == ["NEW", "PENDING", "CANCELLED"]
    assert [entry["time"] for entry in states] == sorted(entry["time"] for entry in states)


def cancel_in_thread(correlation_id: str, started: threading.Event) -> None:
    started.set()
    control.cancel_execution(correlation_id)
    connection.close()


def test_clients_of_the_original_see_a_cancelled_action_as_fatal() -> None:
    source = b.pack("Src")
    b.save(b.step(id="a"))
    b.tell(source)
    control.cancel_execution(b.only_execution().id)
    execution = audit()
    state = execution["actions"]["a"]["state"]
    assert (state["value"], state["cancelled"], execution["cancelled"]) == ("FATAL", True, True)


def test_finished_actions_of_a_cancelled_execution_are_unchanged() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.step(id="b"))
    b.tell(source)
    b.work(worker)
    control.cancel_execution(b.only_execution().id)
    assert set(Action.objects.values_list("state", flat=True)) == {ActionState.SUCCESS, ActionState.CANCELLED}


def test_a_finished_execution_cannot_be_cancelled() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"))
    b.tell(source)
    b.work(worker)
    response = post(f"/v1/audit/flows/{b.only_execution().id}/cancel")
    assert (response.status_code, b.only_execution().state) == (409, ExecutionState.SUCCEEDED)
    assert post("/v1/audit/flows/none/cancel").status_code == 404


def test_a_retried_step_runs_again_and_dependent_steps_that_fired_do_not() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(
        b.step(id="a", command={"packName": "Wrk", "name": "Do", "input": "same"}),
        b.follower("a", id="alarm", event="FATAL"),
        b.follower("a", id="next"),
    )
    b.tell(source)
    b.work(worker, name="FATAL", payload="boom")
    b.work(worker, name="Unheard")
    execution = b.only_execution()
    assert post(f"/v1/audit/flows/{execution.id}/steps/a/retry").status_code == 204
    assert b.only_execution().state == ExecutionState.RUNNING
    again = b.take(worker)
    assert (again.step_id, again.input, again.attempt) == ("a", "same", 2)
    assert b.give(worker, again) is ResultStatus.ACCEPTED
    assert b.fired(execution) == {"a", "alarm", "next"}
    b.work(worker, name="Unheard")
    assert b.only_execution().state == ExecutionState.SUCCEEDED
    assert audit()["actions"]["a"]["history"][0]["result"]["payload"] == "boom"


def test_only_a_fatal_step_can_be_retried() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"))
    b.tell(source)
    path = f"/v1/audit/flows/{b.only_execution().id}/steps"
    assert post(f"{path}/a/retry").status_code == 409, "it waits"
    b.work(worker)
    assert post(f"{path}/a/retry").status_code == 409, "it succeeded"
    assert detail(f"{path}/none/retry", 404) == f"step 'none' not found in execution '{b.only_execution().id}'"
    assert detail("/v1/audit/flows/none/steps/a/retry", 404) == "execution 'none' not found"


def test_impossible_operations_are_rejected_with_the_reason() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.follower("a", id="later", event="Other"))
    b.tell(source)
    path = f"/v1/audit/flows/{b.only_execution().id}"
    assert detail(f"{path}/steps/a/retry", 409) == "the step is already queued"
    assert detail(f"{path}/steps/later/retry", 409) == "the step was not reached; there is nothing to retry"
    b.take(worker)
    assert detail(f"{path}/steps/a/retry", 409) == "the step is running"
    control.cancel_execution(b.only_execution().id)
    assert detail(f"{path}/cancel", 409) == "the execution was already cancelled"
    cancelled = "the execution was cancelled; its steps can't be retried"
    assert detail(f"{path}/steps/a/retry", 409) == cancelled
    b.save(b.step(), enabled=False)
    assert detail(f"{path}/replay", 409).startswith("the flow was deleted, is disabled, or no longer subscribes")
    assert detail(f"{path}/replay?flows=all", 409).startswith("no enabled flow subscribes")
    assert detail("/v1/audit/flows/none/replay", 404) == detail("/v1/audit/flows/none/cancel", 404)


def detail(path: str, status: int) -> str:
    """Post to the path, and return the detail of the error."""
    response = Client().post(path)
    assert response.status_code == status
    return str(response.json()["detail"])


def test_a_replay_runs_the_current_flow_and_links_to_the_old_execution() -> None:
    source = b.pack("Src")
    b.save(b.step(id="old"))
    b.tell(source, payload={"n": 1})
    old = b.only_execution()
    b.save(b.step(id="new"))
    b.save(b.step(id="other"), name="other flow")
    response = post(f"/v1/audit/flows/{old.id}/replay")
    assert response.status_code == 202
    (new_id,) = response.json()["correlationIds"]  # type: ignore[attr-defined]
    execution = Execution.objects.get(id=new_id)
    assert (b.fired(execution), execution.replay_of, execution.flow_name) == ({"new"}, old.id, "flow")
    assert Action.objects.get(step_id="new").trigger["payload"] == {"n": 1}
    assert Client().get(f"/v1/audit/flows/{new_id}").json()["replayOf"] == old.id
    assert Execution.objects.count() == 2


def test_a_replay_for_all_flows_starts_every_subscribed_flow() -> None:
    source = b.pack("Src")
    b.save(b.step())
    b.tell(source)
    old = b.only_execution()
    b.save(b.step(), name="other flow")
    assert problem(post(f"/v1/audit/flows/{old.id}/replay", flows="al"), 400)["errors"] == [
        {"path": "flows", "message": "must be own or all, not 'al'"}
    ]
    assert not Execution.objects.filter(replay_of=old.id).exists()
    assert post(f"/v1/audit/flows/{old.id}/replay", flows="all").status_code == 202
    assert Execution.objects.filter(replay_of=old.id).count() == 2


def test_a_replay_without_a_subscribed_flow_is_rejected() -> None:
    source = b.pack("Src")
    b.save(b.step())
    b.tell(source)
    old = b.only_execution()
    b.save(b.step(), enabled=False)
    assert post(f"/v1/audit/flows/{old.id}/replay").status_code == 409
    assert post("/v1/audit/flows/none/replay").status_code == 404


def test_the_command_cancels_retries_and_replays() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"))
    b.tell(source)
    first = b.only_execution()
    b.work(worker, name="FATAL")
    call_command("execution", first.id, "retry", "a")
    assert Execution.objects.get(id=first.id).state == ExecutionState.RUNNING
    call_command("execution", first.id, "cancel")
    assert Execution.objects.get(id=first.id).state == ExecutionState.CANCELLED
    out = StringIO()
    call_command("execution", first.id, "replay", stdout=out)
    assert Execution.objects.get(id=out.getvalue().strip()).replay_of == first.id
    b.save(b.step(id="a", criteria="{{ 1 > 2 }}"))
    with pytest.raises(CommandError, match="no execution was started"):
        call_command("execution", first.id, "replay")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none", "cancel"), "execution 'none' not found"),
        (("none", "retry"), "retry requires a step id: manage.py execution none retry STEP"),
        (("none", "retry", "a"), "execution 'none' not found"),
        (("none", "replay"), "execution 'none' not found"),
        (
            ("none", "cancel", "a"),
            "cancel accepts no step id, because it concerns the whole execution: manage.py execution none cancel",
        ),
        (
            ("none", "replay", "a"),
            "replay accepts no step id, because it concerns the whole execution: manage.py execution none replay",
        ),
        (("none",), "Error: the following arguments are required: ACTION"),
    ],
)
def test_impossible_operations_of_the_command_are_errors(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("execution", *words)
    assert str(caught.value) == message
