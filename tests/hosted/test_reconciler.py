"""Rounds for a hosted pack: all transitions of a resource, with workers that crash at any point."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flows.engine import control, jobs
from flows.models import Execution
from packs.hosted.plugin_api.config import CachingConfig, RateLimiterConfig
from packs.hosted.plugin_api.errors import Throttled, UserFailure
from packs.models import Action, ActionState, HostedCount, HostedResource, HostedState, Pack
from tests.flows import builders as b
from tests.hosted.stub_plugin import Service, StubWorld, ask, let_time_pass, raising, result, states, world

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_an_action_becomes_a_resource_whose_outcome_is_the_result() -> None:
    w = world()
    ask()
    w.round()
    row = HostedResource.objects.get()
    assert (row.state, row.meta, states()) == (HostedState.LIVE, {"id": row.token}, [ActionState.PENDING])
    w.service.jobs[row.token] = "done well"
    assert w.round() == 0
    w.later(seconds=31)
    assert (states(), result()["event"], result()["payload"]) == ([ActionState.SUCCESS], "Done", "done well")
    assert (HostedResource.objects.count(), w.service.journal) == (0, ["create", "get"])


def test_the_pack_is_registered_with_its_commands_and_marked_as_hosted() -> None:
    world().round()
    pack = Pack.objects.get(identity="Stub")
    assert pack.hosted
    assert pack.commands == [{"name": "Do", "events": ["Done", "Broken"]}]
    assert pack.events == [{"name": "Progress"}]


def test_status_is_called_immediately_if_create_returns_the_resource() -> None:
    w = world(service=Service(at_once=True))
    ask()
    token = f"{Action.objects.get(step_id='do').id}-1"
    w.service.jobs[token] = "done at once"
    w.round()
    assert (states(), w.service.journal) == ([ActionState.SUCCESS], ["create"])


def test_a_failure_with_an_event_finishes_the_action_with_that_event() -> None:
    w = world()
    ask()
    w.round()
    w.service.jobs = dict.fromkeys(w.service.jobs, "broken: no disk")
    w.later(seconds=31)
    assert (result()["event"], result()["payload"]) == ("Broken", {"message": "broken: no disk"})
    assert w.service.count("delete") == 0


def test_a_user_failure_is_an_event_and_is_not_retried() -> None:
    w = world()
    w.service.answers["create"] = raising(UserFailure("no such branch", event="Broken"))
    ask()
    w.round()
    w.later(seconds=60)
    assert (result()["event"], result()["payload"]) == ("Broken", {"message": "no such branch"})
    assert (w.service.count("create"), HostedResource.objects.count()) == (1, 0)


def test_create_is_retried_with_the_same_token() -> None:
    w = world()
    w.service.answers["create"] = raising(OSError("gone"))
    ask()
    w.round()
    w.service.answers.clear()
    w.later(seconds=10)
    assert (w.service.count("create"), len(w.service.jobs)) == (2, 1)
    assert HostedResource.objects.get().state == HostedState.LIVE


def test_after_max_system_failures_the_action_fails_and_the_resource_is_deleted() -> None:
    w = world()
    w.service.answers["create"] = raising(OSError("gone"))
    ask()
    for _ in range(3):
        w.later(seconds=60)
    assert states() == [ActionState.FATAL]
    assert result()["payload"] == {
        "reason": "system failures",
        "message": "OSError: gone",
        "failures": 3,
        "call": "create",
    }
    assert Action.objects.get(step_id="alarm")
    w.service.answers.clear()
    w.later(seconds=60)
    assert (w.service.jobs, HostedResource.objects.count()) == ({}, 0)
    assert "delete: system failures" in w.service.journal


def test_only_consecutive_failures_count() -> None:
    w = world()
    ask()
    w.round()
    for _ in range(3):
        w.service.answers["get"] = raising(OSError("gone"))
        w.later(seconds=31)
        w.later(seconds=31)
        w.service.answers.clear()
        w.later(seconds=31)
    assert states() == [ActionState.PENDING]
    w.service.answers["get"] = raising(OSError("gone"))
    for _ in range(3):
        w.later(seconds=31)
    w.round()
    assert (states(), w.service.jobs) == ([ActionState.FATAL], {})


def test_throttling_is_counted_but_not_as_a_failure_and_pauses_all_calls_of_its_kind() -> None:
    w = world()
    w.service.answers["create"] = raising(Throttled(retry_after=30))
    ask(3)
    w.round()
    assert w.service.count("create") <= 3
    w.service.answers.clear()
    let_time_pass(seconds=60)
    before = w.service.count("create")
    w.round()  # the bucket itself is paused, even if calls are due
    assert w.service.count("create") == before
    assert HostedCount.objects.get(plugin="Stub", name="throttled").value == before
    assert set(HostedResource.objects.values_list("failures", flat=True)) == {0}


def test_the_resource_of_a_cancelled_action_is_deleted() -> None:
    w = world()
    ask()
    w.round()
    control.cancel_execution(Execution.objects.get().id)
    assert w.upkeep() == 1
    w.round()
    assert (w.service.jobs, HostedResource.objects.count()) == ({}, 0)
    assert w.service.journal == ["create", "delete", "delete: cancelled"]


def test_an_action_cancelled_before_create_never_reaches_the_service() -> None:
    w = world(resource_quotas={"default": 0})
    ask()
    w.round()
    control.cancel_execution(Execution.objects.get().id)
    w.upkeep()
    w.round()
    assert (w.service.journal, HostedResource.objects.count()) == ([], 0)


def test_after_the_lease_expires_the_resource_is_deleted_and_the_next_attempt_has_a_new_token() -> None:
    w = world()
    ask(retries=1)
    w.round()
    first = HostedResource.objects.get().token
    let_time_pass(days=2)
    assert jobs.expire_leases() == 1
    w.upkeep()
    w.later(seconds=60)
    w.round()
    (second,) = w.service.jobs
    assert (first[-2:], second[-2:], first in w.service.jobs) == ("-1", "-2", False)


def test_blocked_calls_do_not_delay_others_while_workers_are_free() -> None:
    w = world(caching=CachingConfig(workers=3), call_timeout=timedelta(seconds=30))
    barrier = threading.Barrier(3, timeout=30)
    w.service.answers["create"] = lambda: print(barrier.wait())
    ask(3)
    w.round()
    assert [row.state for row in HostedResource.objects.all()] == ["live"] * 3


def test_leases_are_extended_while_the_resource_exists() -> None:
    w = world()
    ask(timeout="20m")
    w.round()
    with override_settings(FLYTE_ACTION_LEASE_SECONDS=60):
        let_time_pass(hours=23)
        HostedResource.objects.update(ends_at=None)
        Action.objects.filter(step_id="do").update(lease_ends_at=HostedResource.objects.get().next_call_at)
        w.upkeep()
    assert jobs.expire_leases() == 0


def test_a_delete_is_retried_until_it_succeeds() -> None:
    w = world()
    ask()
    w.round()
    w.service.answers["delete"] = raising(OSError("gone"))
    control.cancel_execution(Execution.objects.get().id)
    w.upkeep()
    for _ in range(6):
        w.later(minutes=11)
    assert (HostedResource.objects.get().state, len(w.service.jobs)) == (HostedState.DELETING, 1)
    w.service.answers.clear()
    w.later(minutes=11)
    assert (HostedResource.objects.count(), w.service.jobs) == (0, {})


@pytest.mark.parametrize("call", ["create", "get", "delete"])
def test_another_worker_takes_over_after_one_dies_in_a_call(call: str) -> None:
    class Killed(BaseException):
        """An exception that no code catches, like SIGKILL."""

    w = world()
    ask()
    if call != "create":
        w.round()
    if call == "delete":
        control.cancel_execution(Execution.objects.get().id)
        w.upkeep()
    w.service.answers[call] = raising(Killed())  # type: ignore[arg-type]
    with pytest.raises(Killed):
        w.later(seconds=31)
    w.service.answers.clear()
    other = world(service=w.service)
    assert other.round() == 0, "the claim has not expired"
    w.service.jobs = dict.fromkeys(w.service.jobs, "done")
    other.later(seconds=60)
    other.later(seconds=60)
    assert HostedResource.objects.count() == 0
    assert states() == ([ActionState.CANCELLED] if call == "delete" else [ActionState.SUCCESS])
    assert len(set(w.service.jobs)) <= 1


def test_the_number_of_resources_is_limited_by_the_cache_size() -> None:
    w = world(caching=CachingConfig(size=3, workers=0))
    ask(5)
    w.round()
    assert (HostedResource.objects.count(), states().count(ActionState.NEW)) == (3, 2)


def test_progress_is_one_event_per_version() -> None:
    w = world()
    b.save(b.step(id="heard", event={"packName": "Stub", "name": "Progress"}), name="listener")
    ask()
    w.round()
    for state in ("at 1", "at 1", "at 2", "at 2"):
        w.service.jobs = dict.fromkeys(w.service.jobs, state)
        w.later(seconds=31)
    assert Action.objects.filter(step_id="heard").count() == 2


def test_a_command_that_no_plugin_supports_is_fatal() -> None:
    w = world()
    ask(name="Dance")
    w.round()
    assert result()["payload"]["message"] == "no plugin of pack Stub supports command 'Dance'"


def test_a_result_that_is_too_large_is_fatal() -> None:
    w = world()
    ask()
    w.round()
    w.service.jobs = dict.fromkeys(w.service.jobs, "done " + "x" * 3000)
    with override_settings(FLYTE_MAX_RESULT_BYTES=2000):
        w.later(seconds=31)
    assert (result()["event"], "exceeds the limit of 2000 bytes" in result()["payload"]["message"]) == ("FATAL", True)


def test_calls_respect_the_rate_limit() -> None:
    w = world(write_rate_limiter=RateLimiterConfig(qps=1, burst=2))
    ask(5)
    w.round()
    assert len(w.service.jobs) == 2


def test_an_idle_round_writes_nothing() -> None:
    w = world()
    w.round()
    with CaptureQueriesContext(connection) as queries:
        assert w.round() == 0
    assert [query["sql"] for query in queries if not query["sql"].startswith(("SELECT", "WITH RECURSIVE"))] == []


def test_a_poll_requested_during_a_call_is_not_lost() -> None:
    w = world()
    ask()
    w.round()
    row = HostedResource.objects.get()
    w.service.answers["get"] = lambda: request_poll(w, row.action_id)
    w.later(seconds=31)
    assert w.service.count("get") == 2


def request_poll(w: StubWorld, action_id: str) -> None:
    """Request a poll while a call is in flight."""
    w.service.answers.clear()
    HostedResource.objects.filter(action_id=action_id).update(next_call_at=timezone.now() - timedelta(seconds=1))
