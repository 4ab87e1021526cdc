"""Results that are larger than other bodies may be."""

import json
import threading
from contextlib import ExitStack
from io import BytesIO
from typing import Any

import pytest
from django.test import Client, override_settings

from flows.models import Execution, ExecutionState
from flyte_site.http.input.byte_budget import RESULT_BUDGET, ByteBudget
from flyte_site.http.problems import Problem
from packs.models import Action, ActionState, Pack
from tests.flows import builders as b
from tests.site.shape import problem

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIMITS = {"FLYTE_MAX_BODY_BYTES": 2000, "FLYTE_MAX_RESULT_BYTES": 5000, "FLYTE_MAX_RESULT_BYTES_IN_FLIGHT": 6000}


@pytest.fixture
def worker() -> Pack:
    b.pack("Src")
    return b.pack("Wrk")


@pytest.fixture(autouse=True)
def limits() -> Any:
    with override_settings(**LIMITS):
        yield


def run(worker: Pack, **command: Any) -> Action:
    b.save(b.step(command={"packName": "Wrk", "name": "Do", **command}))
    b.tell(Pack.objects.get(identity="Src"))
    return b.take(worker)


def post(action: Action, body: str, query: str = "", pack: str = "Wrk") -> Any:
    path = f"/v1/packs/{pack}/actions/{action.id}/result{query}"
    return Client().post(path, body, "application/json")


def result_of(size: int) -> str:
    text = json.dumps({"event": "Done", "payload": ""})
    return text.replace('""', '"' + "x" * (size - len(text)) + '"')


def test_a_result_can_be_larger_than_other_bodies(worker: Pack) -> None:
    action = run(worker)
    assert post(action, result_of(5000)).status_code == 202
    assert Action.objects.get().state == ActionState.SUCCESS
    problem(Client().post("/v1/packs/Src/events", result_of(5000), "application/json"), 413)


def test_a_result_over_its_limit_ends_the_action_with_the_reason_and_is_not_read(worker: Pack) -> None:
    action = run(worker)
    detail = problem(post(action, "{" * 5001), 413)["detail"]
    message = "the result has 5001 bytes, over the limit of 5000 bytes (FLYTE_MAX_RESULT_BYTES)"
    assert detail == f"{message}; the attempt ended with FATAL"
    stored = Action.objects.get()
    assert (stored.state, stored.result["event"]) == (ActionState.FATAL, "FATAL")
    assert stored.result["payload"]["reason"] == "result too large"
    assert stored.result["payload"]["message"] == message
    assert Execution.objects.get().state == ExecutionState.FAILED


def test_a_chunked_result_over_its_limit_ends_the_action_too(worker: Pack) -> None:
    action = run(worker)
    for _ in range(2):
        body = {"wsgi.input": BytesIO(b"{" * 6000), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        path = f"/v1/packs/Wrk/actions/{action.id}/result"
        response = Client().post(path, headers={"Transfer-Encoding": "chunked"}, **body)  # type: ignore[arg-type]
        detail = problem(response, 413)["detail"]
        assert detail.startswith("the result has more than 5000 bytes, over the limit of 5000 bytes")
    assert Action.objects.get().state == ActionState.FATAL


def test_the_same_result_again_has_no_effect(worker: Pack) -> None:
    action = run(worker)
    for _ in range(2):
        problem(post(action, "x" * 6000), 413)
    problem(post(action, "x" * 6001), 409)
    problem(post(action, result_of(100)), 409)


def test_an_attempt_is_retried_as_with_any_fatal_result(worker: Pack) -> None:
    action = run(worker, retries=1)
    problem(post(action, "x" * 6000), 413)
    assert Action.objects.get().state == ActionState.NEW
    assert Execution.objects.get().state == ExecutionState.RUNNING


def test_only_the_holder_of_the_action_ends_it(worker: Pack) -> None:
    action = run(worker)
    b.pack("Other")
    problem(post(action, "x" * 6000, pack="Other"), 409)
    detail = problem(post(action, "x" * 6000, "?attempt=2"), 409)["detail"]
    assert detail == "the action is at attempt 1, not 2; this result is ignored"
    problem(post(action, "x" * 6000, pack="Unknown"), 404)
    action.id = "unknown"
    problem(post(action, "x" * 6000), 404)
    assert Action.objects.get().state == ActionState.PENDING


def test_large_results_wait_while_others_are_read(worker: Pack) -> None:
    action = run(worker)
    with RESULT_BUDGET.reserve(4000, 6000):
        response = post(action, result_of(3000))
        assert problem(response, 503)["detail"] == "too many large bodies at the same time: over 6000 bytes"
        assert int(response.headers["Retry-After"]) > 0
        assert Action.objects.get().state == ActionState.PENDING
    assert post(action, result_of(3000)).status_code == 202


def test_small_results_need_no_budget(worker: Pack) -> None:
    action = run(worker)
    with RESULT_BUDGET.reserve(6000, 6000):
        assert post(action, result_of(2000)).status_code == 202


def test_a_budget_is_free_again_after_an_error() -> None:
    budget = ByteBudget()
    with pytest.raises(ValueError, match="broken"), budget.reserve(10, 10):
        raise ValueError("broken")
    with budget.reserve(10, 10):
        pass


def test_the_first_reservation_may_exceed_the_budget() -> None:
    budget = ByteBudget()
    with budget.reserve(11, 10), pytest.raises(Problem), budget.reserve(1, 10):
        pass


def test_concurrent_reservations_never_exceed_the_budget() -> None:
    budget, most, rejected = ByteBudget(), 0, 0
    lock, held = threading.Lock(), 0

    def reserve_often() -> None:
        nonlocal most, held, rejected
        for _ in range(200):
            with ExitStack() as stack:
                try:
                    stack.enter_context(budget.reserve(3, 10))
                except Problem:
                    rejected += 1
                    continue
                with lock:
                    held += 3
                    most = max(most, held)
                with lock:
                    held -= 3

    threads = [threading.Thread(target=reserve_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 10
