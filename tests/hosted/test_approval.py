"""The plugin Approval: decisions over the API, each made once."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client

from flows.engine import control
from flows.engine.jobs import HostedResults
from flows.models import Execution
from flyte_site.auth.activity_log import VIA_CONSOLE, Actor
from flyte_site.models import Change
from packs.approvals import service
from packs.hosted.plugins import approval
from packs.hosted_registry import HostedRegistry
from packs.models import Action, ActionState, Approval, HostedResource
from tests.hosted.stub_plugin import ask, host_plugins, let_time_pass, result, states
from tests.site.shape import paths_of_errors, problem

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def hosting() -> HostedRegistry:
    return host_plugins(approval.ENTRY)


def run_round(hosting: HostedRegistry, **time: float) -> None:
    let_time_pass(**time)
    hosting.reconcile("Approval", HostedResults())


def ask_question(hosting: HostedRegistry, input: Any = "Deploy to prod?", **options: Any) -> str:
    """Create an action that requests an approval, and return its id."""
    ask(pack="Approval", name="Ask", input=input, **options)
    run_round(hosting)
    return Action.objects.filter(step_id="do").order_by("-id")[0].id


def decide(client: Client, action_id: str, **body: Any) -> Any:
    return client.post(f"/v1/approvals/{action_id}", json.dumps(body), content_type="application/json")


@pytest.mark.parametrize(("approved", "event"), [(True, "Approved"), (False, "Rejected")])
def test_the_decision_is_the_result(hosting: HostedRegistry, client: Client, approved: bool, event: str) -> None:
    action_id = ask_question(hosting, {"question": "Deploy?", "details": {"version": "1.2"}})
    answer = decide(client, action_id, approved=approved, comment="at noon", by="Ana").json()
    assert (answer["approved"], answer["by"], answer["comment"]) == (approved, "anonymous (Ana)", "at noon")
    run_round(hosting)
    assert (states(), result()["event"]) == ([ActionState.SUCCESS], event)
    payload = result()["payload"]
    assert (payload["by"], payload["details"]) == ("anonymous (Ana)", {"version": "1.2"})
    assert HostedResource.objects.count() == 0


def test_open_questions_are_listed_oldest_first(hosting: HostedRegistry, client: Client) -> None:
    first, second = ask_question(hosting), ask_question(hosting, "And to test?")
    approvals = client.get("/v1/approvals").json()
    assert [approval["id"] for approval in approvals["approvals"]] == [first, second]
    assert set(approvals["approvals"][0]) == {
        "id", "question", "flowName", "correlationId", "askedAt", "endsAt", "links",
    }  # fmt: skip
    decide(client, first, approved=True)
    assert [approval["id"] for approval in client.get("/v1/approvals").json()["approvals"]] == [second]
    assert client.get(f"/v1/approvals/{first}").json()["approved"] is True


def test_the_first_decision_counts_and_an_exact_repetition_is_accepted(hosting: HostedRegistry, client: Client) -> None:
    action_id = ask_question(hosting)
    assert decide(client, action_id, approved=True, by="Ana").status_code == 200
    assert decide(client, action_id, approved=True, by="Ana").status_code == 200
    body = problem(decide(client, action_id, approved=False, by="Bo"), 409)
    assert body["detail"] == "already approved by anonymous (Ana)"
    run_round(hosting)
    assert problem(decide(client, action_id, approved=False, by="Bo"), 409)
    assert Approval.objects.get().decided_by == "anonymous (Ana)"


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_concurrent_decisions_one_counts_and_the_others_are_refused(hosting: HostedRegistry) -> None:
    action_id = ask_question(hosting)
    start, refusals = threading.Barrier(6, timeout=60), []

    def decide_once(number: int) -> None:
        start.wait()
        try:
            service.decide_approval(action_id, Actor(f"Person {number}", VIA_CONSOLE), number % 2 == 0)
        except service.ApprovalNotOpenError as reason:
            refusals.append(str(reason))
        finally:
            connection.close()

    threads = [threading.Thread(target=decide_once, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    (change,) = Change.objects.filter(kind="approval")
    decided = Approval.objects.get()
    assert decided.decided_by == change.actor
    assert refusals == [f"already {change.what} by {change.actor}"] * 5


def test_a_decision_is_in_the_activity_log_once(hosting: HostedRegistry, client: Client) -> None:
    action_id = ask_question(hosting)
    for _ in range(2):
        decide(client, action_id, approved=False, by="Ana")
    change = Change.objects.get(kind="approval")
    assert (change.what, change.key, change.actor) == ("rejected", action_id, "anonymous")
    assert change.detail == {"by": "anonymous (Ana)", "flow": "flow", "question": "Deploy to prod?"}


def test_an_approval_expires_without_a_decision(hosting: HostedRegistry, client: Client) -> None:
    action_id = ask_question(hosting, {"question": "Deploy?", "timeout": "1h"})
    row = HostedResource.objects.get()
    assert round((row.next_call_at - row.taken_at).total_seconds()) == 3600
    Approval.objects.update(ends_at=F("ends_at") - timedelta(hours=1))
    assert problem(decide(client, action_id, approved=True), 409)["detail"] == "the time to decide has expired"
    assert client.get("/v1/approvals").json()["approvals"] == []
    run_round(hosting, hours=1)
    assert result()["event"] == "NotDecided"


def test_a_cancelled_question_cannot_be_decided(hosting: HostedRegistry, client: Client) -> None:
    action_id = ask_question(hosting)
    control.cancel_execution(Execution.objects.get().id)
    assert problem(decide(client, action_id, approved=True), 409)["detail"] == "the action was cancelled or timed out"
    hosting.run_upkeep()
    run_round(hosting)
    assert problem(decide(client, action_id, approved=True), 409)["detail"] == "the action was cancelled or timed out"
    assert (list(service.open_approvals()), HostedResource.objects.count()) == ([], 0)


def test_a_retried_action_asks_again(hosting: HostedRegistry, client: Client) -> None:
    action_id = ask_question(hosting, timeout="10s", retries=1)
    run_round(hosting, seconds=11)
    run_round(hosting, seconds=1)
    run_round(hosting)
    assert list(Approval.objects.values_list("attempt", "withdrawn")) == [(1, True), (2, False)]
    assert decide(client, action_id, approved=True).status_code == 200
    run_round(hosting)
    assert result()["event"] == "Approved"


def test_a_decision_is_processed_in_the_next_round(hosting: HostedRegistry) -> None:
    action_id = ask_question(hosting)
    hosting.reconcile("Approval", HostedResults())
    assert states() == [ActionState.PENDING]
    service.decide_approval(action_id, Actor("Ana", VIA_CONSOLE), True)
    hosting.reconcile("Approval", HostedResults())
    assert states() == [ActionState.SUCCESS]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "approved"),
        ({"approved": "yes"}, "approved"),
        ({"approved": 1}, "approved"),
        ({"approved": None}, "approved"),
    ],
)
def test_a_decision_is_true_or_false(hosting: HostedRegistry, client: Client, body: Any, path: str) -> None:
    assert paths_of_errors(decide(client, ask_question(hosting), **body)) == [path]


def test_an_unknown_question_cannot_be_decided(client: Client) -> None:
    problem(decide(client, "nothing", approved=True), 404)


@pytest.mark.parametrize(
    "question_input",
    [None, "", {}, {"question": 5}, {"question": "x", "timeout": "soon"}, {"question": "x", "timeout": "400d"},
     {"question": "x", "more": 1}, ["x"]],
)  # fmt: skip
def test_an_invalid_input_is_fatal(hosting: HostedRegistry, question_input: Any) -> None:
    ask_question(hosting, question_input)
    assert (states(), Approval.objects.count()) == ([ActionState.FATAL], 0)
