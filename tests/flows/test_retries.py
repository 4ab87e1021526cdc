"""Retries of actions, with backoff."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from flows.models import ExecutionState
from packs.models import Action, ActionState, Pack
from packs.queue.results import ResultStatus
from packs.queue.take import take
from tests.flows import builders as b
from tests.flows.attempts import command, get_action, let_time_pass

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_a_fatal_result_is_retried_after_a_backoff_that_doubles() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(retries=2, backoff=100)))
    b.tell(source)
    waits = []
    for _ in range(2):
        assert b.give(worker, b.take(worker), "FATAL", "boom") is ResultStatus.RETRIED
        waits.append((get_action().ready_at - timezone.now()).total_seconds())
        with pytest.raises(AssertionError, match="nothing waits"):
            b.take(worker)
        let_time_pass(seconds=1000)
    assert 70 < waits[0] < 130
    assert 140 < waits[1] < 260
    assert b.give(worker, b.take(worker), "FATAL", "boom") is ResultStatus.ACCEPTED
    assert get_action().state == ActionState.FATAL


@contextmanager
def before_first_update(function: Callable[[], None]) -> Iterator[None]:
    """Call the function immediately before the first update of an action."""
    pending = [function]

    def interpose(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "UPDATE packs_action" in sql and pending:
            pending.pop()()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(interpose):
        yield


def test_a_take_overtaken_by_a_whole_attempt_is_the_next_attempt() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(retries=1)))
    b.tell(source)
    with before_first_update(lambda: fail_one_attempt(worker)):
        # PostgreSQL's statement finds actions that were ready at its start; the second attempt was not.
        second = take(worker) or b.take(worker)
    stored = Action.objects.get()
    assert (second.attempt, stored.attempt) == (2, 2)
    assert [entry["value"] for entry in stored.state_log] == ["NEW", "PENDING", "NEW", "PENDING"]


def test_an_overtaken_take_respects_the_backoff() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(retries=1, backoff=600)))
    b.tell(source)
    with before_first_update(lambda: fail_one_attempt(worker)):
        assert take(worker) is None
    assert Action.objects.get().attempt == 1


def fail_one_attempt(worker: Pack) -> None:
    assert b.give(worker, b.take(worker), "FATAL") is ResultStatus.RETRIED


def test_an_attempt_that_succeeds_ends_the_retries() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(retries=5)), b.follower("a", id="b"))
    b.tell(source)
    b.give(worker, b.take(worker), "FATAL", "boom")
    assert b.only_execution().state == ExecutionState.RUNNING
    assert b.give(worker, b.take(worker)) is ResultStatus.ACCEPTED
    assert b.fired(b.only_execution()) == {"a", "b"}


def test_a_repeated_fatal_result_is_accepted_and_has_no_effect() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(retries=1)))
    b.tell(source)
    first = b.take(worker)
    assert b.give(worker, first, "FATAL", "boom") is ResultStatus.RETRIED
    assert b.give(worker, first, "FATAL", "boom") is ResultStatus.DUPLICATE
    second = b.take(worker)
    assert b.give(worker, first, "FATAL", "boom") is ResultStatus.DUPLICATE
    assert (get_action().state, get_action().attempt) == (ActionState.PENDING, second.attempt)


def test_result_links_name_the_attempt_except_the_first() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(retries=1)))
    b.tell(source)
    take = "/v1/packs/Wrk/actions/take"
    first = Client().post(take).json()["links"][0]["href"]
    assert first.endswith("/result")
    body = {"event": "FATAL"}
    assert Client().post(first, body, content_type="application/json").status_code == 202
    second = Client().post(take).json()["links"][0]["href"]
    assert second == f"{first}?attempt=2"
    assert Client().post(first, {"event": "Done"}, content_type="application/json").status_code == 409
    assert Client().post(second, {"event": "Done"}, content_type="application/json").status_code == 202
    assert worker.identity == get_action().claimed_by


def test_a_delayed_retry_does_not_block_other_actions() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(retries=1, backoff=1000)))
    b.tell(source)
    b.give(worker, b.take(worker), "FATAL")
    b.tell(source, payload="next")
    assert b.take(worker).input == "next"


def test_the_audit_shows_the_attempts() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(retries=1)))
    b.tell(source)
    b.give(worker, b.take(worker), "FATAL", "boom")
    b.give(worker, b.take(worker), "Done")
    (run,) = Client().get("/v1/audit/flows").json()["flows"]
    action = run["actions"]["a"]
    assert [state["value"] for state in action["states"]] == ["NEW", "PENDING", "NEW", "PENDING", "SUCCESS"]
    assert [(entry["attempt"], entry["result"]["payload"]) for entry in action["history"]] == [(1, "boom")]
