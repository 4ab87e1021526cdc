"""Expiry of executions with their actions and approvals, and of old versions of flows."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test import override_settings
from django.utils import timezone

from flows.engine.retention import EXECUTIONS_PER_BATCH, REPLACED_VERSION_GRACE, prune_executions, prune_flow_versions
from flows.models import Execution, ExecutionState, Flow, FlowVersion
from flyte_site.core.ids import new_id
from packs.approvals import service
from packs.models import Action, Approval
from tests.flows import builders as b
from tests.jobs.statements import deletes
from tests.packs.actions import waiting

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

TTL = timedelta(seconds=31_557_600)
LATER = REPLACED_VERSION_GRACE + timedelta(seconds=1)


def executions(count: int, age: timedelta, state: str = ExecutionState.SUCCEEDED, actions: int = 2) -> None:
    """Create executions of this age, each with waiting actions."""
    version = FlowVersion.objects.create(flow_name="flow", document={})
    rows = [
        Execution(
            flow_name="flow",
            version=version,
            event_id=new_id(),
            state=state,
            started_at=timezone.now() - 2 * age,
            changed_at=timezone.now() - age,
            latest_action_id=new_id(),
        )
        for _ in range(count)
    ]
    Execution.objects.bulk_create(rows)
    Action.objects.bulk_create(
        [
            Action(
                correlation_id=execution.id,
                step_id=str(number),
                pack_name="Wrk",
                labels_key="{}",
                name="Do",
                trigger={},
            )
            for execution in rows
            for number in range(actions)
        ]
    )


def aged_action(age: timedelta) -> Action:
    """Create an action without an execution, and with an id of this age."""
    action = waiting()
    milliseconds = int((timezone.now() - age).timestamp() * 1000)
    Action.objects.filter(id=action.id).update(id=f"{milliseconds << 48:024x}")
    return Action.objects.get(id=f"{milliseconds << 48:024x}")


@pytest.mark.parametrize("state", ExecutionState.values)
def test_an_expired_execution_is_deleted_with_its_actions_in_any_state(state: str) -> None:
    executions(3, TTL + timedelta(minutes=1), state)
    executions(2, TTL - timedelta(minutes=1), state)
    assert prune_executions() == 3
    assert (Execution.objects.count(), Action.objects.count()) == (2, 4)


def test_the_approvals_of_an_expired_execution_are_deleted() -> None:
    executions(2, TTL + timedelta(minutes=1))
    young = waiting()
    for action in Action.objects.all():
        ends_at = timezone.now() + timedelta(days=1)
        service.create_approval(
            action_id=action.id,
            attempt=1,
            flow_name="flow",
            correlation_id=action.correlation_id,
            question="Deploy?",
            details=None,
            asked_at=timezone.now(),
            ends_at=ends_at,
        )
    prune_executions()
    assert [approval.action_id for approval in Approval.objects.all()] == [young.id]


@override_settings(FLYTE_TTL_IN_SECONDS=60)
def test_the_time_to_live_is_a_setting() -> None:
    executions(1, timedelta(seconds=61))
    assert prune_executions() == 1


def test_an_old_execution_with_a_recent_change_stays() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.follower("a", id="b"))
    b.tell(source)
    Execution.objects.update(changed_at=F("changed_at") - 2 * TTL)
    b.work(worker)
    assert (prune_executions(), set(b.actions(b.only_execution()))) == (0, {"a", "b"})


def test_only_old_actions_without_an_execution_are_deleted() -> None:
    aged_action(TTL + timedelta(minutes=1))
    young = aged_action(TTL - timedelta(minutes=1))
    assert prune_executions() == 1
    assert Action.objects.get() == young


def test_an_old_action_of_a_recent_execution_stays() -> None:
    old = aged_action(2 * TTL)
    executions(1, timedelta(0), actions=0)
    Action.objects.filter(id=old.id).update(correlation_id=Execution.objects.get().id)
    assert (prune_executions(), Action.objects.count()) == (0, 1)


def test_many_executions_are_deleted_in_batches_with_one_transaction_each() -> None:
    executions(2 * EXECUTIONS_PER_BATCH + 1, 2 * TTL)
    with deletes("flows_execution") as executions_deleted, deletes("packs_action") as actions_deleted:
        assert prune_executions() == 2 * EXECUTIONS_PER_BATCH + 1
    assert (
        executions_deleted == actions_deleted == [(EXECUTIONS_PER_BATCH, True), (EXECUTIONS_PER_BATCH, True), (1, True)]
    )
    assert (Execution.objects.count(), Action.objects.count()) == (0, 0)


def test_a_dry_run_counts_and_changes_nothing() -> None:
    executions(3, 2 * TTL)
    aged_action(2 * TTL)
    assert prune_executions(dry_run=True) == 4
    assert (Execution.objects.count(), Action.objects.count()) == (3, 7)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_at_once_delete_each_execution_once_and_neither_fails() -> None:
    executions(3 * EXECUTIONS_PER_BATCH, 2 * TTL)
    expired: list[int] = []
    start = threading.Barrier(2)

    def run() -> None:
        start.wait(30)
        try:
            expired.append(prune_executions())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(expired) == 2
    remaining = Execution.objects.count()  # one thread may have skipped the rows that the other had locked
    assert sum(expired) + remaining == 3 * EXECUTIONS_PER_BATCH
    assert prune_executions() == remaining
    assert Action.objects.count() == 0


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite locks no rows")
def test_an_execution_that_somebody_is_changing_stays() -> None:
    executions(2, 2 * TTL)
    locked = Execution.objects.order_by("id").first()
    assert locked
    expired: list[int] = []

    def run() -> None:
        try:
            expired.append(prune_executions())
        finally:
            connection.close()

    with transaction.atomic():
        Execution.objects.select_for_update().get(id=locked.id)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(60)
        assert (expired, thread.is_alive()) == ([1], False)
    assert Execution.objects.get() == locked


def versions(count: int, name: str = "flow") -> list[str]:
    """Save a flow `count` times; return the ids of its versions, the oldest first."""
    for number in range(count):
        b.save(b.step(id=f"step-{number}"), name=name)
    return list(FlowVersion.objects.filter(flow_name=name).order_by("id").values_list("id", flat=True))


def remaining_versions() -> list[str]:
    return list(FlowVersion.objects.order_by("id").values_list("id", flat=True))


def test_all_versions_are_kept_by_default() -> None:
    made = versions(5)
    assert (prune_flow_versions(timezone.now() + LATER), remaining_versions()) == (0, made)


@override_settings(FLYTE_FLOW_VERSIONS_KEEP=2)
def test_the_last_versions_of_each_flow_are_kept() -> None:
    first, second = versions(5, "one"), versions(3, "other")
    assert prune_flow_versions(timezone.now() + LATER) == 4
    assert remaining_versions() == sorted(first[-2:] + second[-2:])


@override_settings(FLYTE_FLOW_VERSIONS_KEEP=1)
def test_a_version_that_an_execution_uses_is_kept() -> None:
    source = b.pack("Src")
    (first,) = versions(1)
    b.tell(source)
    made = versions(3)
    assert prune_flow_versions(timezone.now() + LATER) == 2
    assert remaining_versions() == [first, made[-1]]


@override_settings(FLYTE_FLOW_VERSIONS_KEEP=1)
def test_the_active_version_of_a_flow_is_kept_even_if_it_is_not_the_newest() -> None:
    made = versions(3)
    Flow.objects.update(version=made[0])
    assert prune_flow_versions(timezone.now() + LATER) == 1
    assert remaining_versions() == [made[0], made[2]]


@override_settings(FLYTE_FLOW_VERSIONS_KEEP=1)
def test_a_recently_replaced_version_is_kept() -> None:
    made = versions(3)
    FlowVersion.objects.filter(id__in=made[:2]).update(saved_at=timezone.now() - 2 * LATER)
    assert prune_flow_versions() == 1
    assert remaining_versions() == made[1:]


@override_settings(FLYTE_FLOW_VERSIONS_KEEP=1)
def test_a_dry_run_counts_the_versions_that_would_be_deleted() -> None:
    made = versions(3)
    assert (prune_flow_versions(timezone.now() + LATER, dry_run=True), remaining_versions()) == (2, made)
