"""Retention: deletion of executions that have not changed for long, of large values, and of unused flow versions."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from flows.models import Event, Execution, Flow, FlowVersion
from flyte_site.core.clock import database_clock
from flyte_site.core.ids import min_id_at
from flyte_site.db.batch_deletion import BATCH_SIZE, delete_in_batches, iter_batches
from flyte_site.db.large_values import current_day
from packs.models import Action, Approval, LargeValue, LargeValueUse

# Smaller than other batches: an execution is deleted together with all its actions.
EXECUTIONS_PER_BATCH = 100
# An event that is being handled can still start an execution on a version that has just been replaced.
REPLACED_VERSION_GRACE = timedelta(hours=1)
# A large value gets new uses on the day of its first, by the clock of any machine.
LARGE_VALUE_GRACE_DAYS = 1
MAX_LARGE_VALUE_BATCHES = 20


def prune_executions(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete executions FLYTE_TTL_IN_SECONDS after their last change, and actions as old that have no execution.

    The state of an execution does not matter. Its actions and their approvals are deleted with it. Return the number
    of executions and of actions without one. Can run concurrently. The large values that no execution or event uses
    any more are deleted as well; they are not counted.
    """
    cutoff = (now or database_clock().now_without_steps()) - timedelta(seconds=settings.FLYTE_TTL_IN_SECONDS)
    expired, without_execution = _find_expired_executions(cutoff), _find_actions_without_execution(cutoff)
    if dry_run:
        return expired.count() + without_execution.count()
    # Values that this run releases are deleted by a later one: somebody may be reading the execution at the moment.
    prune_large_values()
    deleted_count = sum(_delete_batch(expired, batch_ids) for batch_ids in iter_batches(expired, EXECUTIONS_PER_BATCH))
    # While expired executions are left, the search for actions without one would read all of their actions.
    if expired.exists():
        return deleted_count
    return deleted_count + sum(_delete_actions(without_execution, ids) for ids in iter_batches(without_execution))


def _find_expired_executions(cutoff: datetime) -> "QuerySet[Execution]":
    return Execution.objects.filter(changed_at__lte=cutoff).order_by("changed_at")


def _delete_batch(expired: "QuerySet[Execution]", batch_ids: list[str]) -> int:
    """Delete the executions that are still expired once locked.

    Skip those that another transaction has locked, or one of whose actions it has.
    """
    with transaction.atomic():
        locked = expired.order_by("id").select_for_update(skip_locked=True).filter(id__in=batch_ids)
        ids = _lock_actions(list(locked.values_list("id", flat=True)))
        actions = Action.objects.filter(correlation_id__in=ids)
        Approval.objects.filter(action_id__in=actions.order_by().values("id")).delete()
        actions.delete()
        Execution.objects.filter(id__in=ids).delete()
        _release_large_values(ids)
    return len(ids)


def _delete_actions(without_execution: "QuerySet[Action]", batch_ids: list[str]) -> int:
    """Delete the actions that still have no execution."""
    with transaction.atomic():
        actions = without_execution.order_by().filter(pk__in=batch_ids)
        owner_ids = set(actions.values_list("correlation_id", flat=True))
        deleted_count = actions.delete()[0]
        remaining = set(Action.objects.filter(correlation_id__in=owner_ids).values_list("correlation_id", flat=True))
        _release_large_values(owner_ids - remaining)
    return deleted_count


def _release_large_values(execution_ids: Iterable[str]) -> None:
    LargeValueUse.objects.filter(owner_id__in=list(execution_ids), released=False).update(released=True)


def prune_large_values() -> int:
    """Delete the large values whose executions and events are all deleted; return their number. Can run concurrently.

    A value is deleted from the second day after it was written: until then it can get new uses.
    """
    _release_large_values_of_events()
    last_day = current_day() - LARGE_VALUE_GRACE_DAYS
    prunable = LargeValue.objects.filter(day__lt=last_day)
    deleted_count = 0
    for _ in range(MAX_LARGE_VALUE_BATCHES):
        released = LargeValueUse.objects.filter(released=True, value_id__in=prunable.values("id")).order_by("id")
        value_ids = set(released.values_list("value_id", flat=True)[:BATCH_SIZE])
        if not value_ids:
            break
        with transaction.atomic():
            uses = LargeValueUse.objects.filter(value_id__in=value_ids)
            used_ids = set(uses.filter(released=False).values_list("value_id", flat=True))
            deleted_count += LargeValue.objects.filter(id__in=value_ids - used_ids).delete()[0]
            uses.filter(released=True).delete()
    return deleted_count


def _release_large_values_of_events() -> None:
    """Release the values of events that are no longer stored: these are deleted by their number, not by age."""
    stored = Event.objects.filter(id=OuterRef("owner_id"))
    LargeValueUse.objects.filter(~Exists(stored), owner_kind="event", released=False).update(released=True)


def _lock_actions(execution_ids: list[str]) -> list[str]:
    """Lock the actions of executions; return the executions without an action that another transaction has locked."""
    if not connection.features.has_select_for_update_skip_locked:
        return execution_ids
    actions = Action.objects.filter(correlation_id__in=execution_ids).order_by("id")
    locked_ids = set(actions.select_for_update(skip_locked=True).values_list("id", flat=True))
    busy_ids = {
        execution_id
        for action_id, execution_id in actions.values_list("id", "correlation_id")
        if action_id not in locked_ids
    }
    return [execution_id for execution_id in execution_ids if execution_id not in busy_ids]


def _find_actions_without_execution(cutoff: datetime) -> "QuerySet[Action]":
    """Find old actions without an execution by the time in their ids: few of that age belong to a later execution."""
    return Action.objects.filter(
        ~Exists(Execution.objects.filter(id=OuterRef("correlation_id"))),
        Q(finished_at=None) | Q(finished_at__lte=cutoff),
        id__lt=min_id_at(cutoff + timedelta(milliseconds=1)),
    ).order_by("id")


def prune_flow_versions(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete flow versions; return their number. Can run concurrently.

    Keep the newest FLYTE_FLOW_VERSIONS_KEEP of each flow (0: all), those that a flow or an execution uses, and those
    that were saved or replaced in the last hour.
    """
    keep = settings.FLYTE_FLOW_VERSIONS_KEEP
    if not keep:
        return 0
    prunable = FlowVersion.objects.filter(saved_at__lte=(now or timezone.now()) - REPLACED_VERSION_GRACE)
    names = FlowVersion.objects.order_by().values_list("flow_name", flat=True).distinct()
    return sum(_prune_versions(prunable.filter(flow_name=name), keep, dry_run) for name in names)


def _prune_versions(prunable: "QuerySet[FlowVersion]", keep: int, dry_run: bool) -> int:
    newest_ids = list(prunable.order_by("-id").values_list("id", flat=True)[:keep])
    if not newest_ids:
        return 0
    unused = prunable.filter(
        ~Exists(Execution.objects.filter(version=OuterRef("pk"))),
        ~Exists(Flow.objects.filter(version=OuterRef("pk"))),
        id__lt=newest_ids[-1],
    )
    return unused.count() if dry_run else delete_in_batches(unused.only("pk").order_by("id"), max_batches=1)
