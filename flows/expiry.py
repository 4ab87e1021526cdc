"""What is forgotten: executions that nothing happened in for long, and versions of flows that nobody needs."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from flows.models import Execution, Flow, FlowVersion
from flyte_site.ids import least_id
from flyte_site.slices import delete_in_slices, slices
from packs.models import Action, Approval

# An execution goes in one transaction with all its actions, so that fewer make a slice.
EXECUTIONS_A_SLICE = 100
# An event that is being handled may still begin an execution on the version that has just been replaced.
REPLACED_FOR = timedelta(hours=1)


def expire_executions(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete executions with their actions and what these asked of people, whatever their state, FLYTE_TTL_IN_SECONDS
    after their last change, and actions as old that belong to no execution. The number of executions and such actions.
    Safe to run twice at once.
    """
    before = (now or timezone.now()) - timedelta(seconds=settings.FLYTE_TTL_IN_SECONDS)
    old, ownerless = _old(before), _ownerless(before)
    if dry_run:
        return old.count() + ownerless.count()
    expired = sum(_expire(old, keys) for keys in slices(old, EXECUTIONS_A_SLICE))
    # While old executions are left, finding what has none would mean reading all of their actions.
    return expired if old.exists() else expired + delete_in_slices(ownerless)


def _old(before: datetime) -> "QuerySet[Execution]":
    return Execution.objects.filter(changed_at__lte=before).order_by("changed_at")


def _expire(old: "QuerySet[Execution]", keys: list[str]) -> int:
    """Delete those that are still old when they are locked; what somebody else has locked is changing, and stays."""
    with transaction.atomic():
        locked = old.order_by("id").select_for_update(skip_locked=True).filter(id__in=keys)
        ids = list(locked.values_list("id", flat=True))
        actions = Action.objects.filter(correlation_id__in=ids)
        Approval.objects.filter(action_id__in=actions.order_by().values("id")).delete()
        actions.delete()
        Execution.objects.filter(id__in=ids).delete()
    return len(ids)


def _ownerless(before: datetime) -> "QuerySet[Action]":
    """Old actions of no execution, found by the time in their ids: few actions as old belong to a younger execution."""
    return Action.objects.filter(
        ~Exists(Execution.objects.filter(id=OuterRef("correlation_id"))),
        Q(finished_at=None) | Q(finished_at__lte=before),
        id__lt=least_id(before + timedelta(milliseconds=1)),
    ).order_by("id")


def forget_flow_versions(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete versions of flows; the number of them. Safe to run twice at once.

    The FLYTE_FLOW_VERSIONS_KEEP newest of each flow stay (0: all do), those that a flow or an execution is on, and
    those that were saved or replaced in the last hour.
    """
    keep = settings.FLYTE_FLOW_VERSIONS_KEEP
    if not keep:
        return 0
    settled = FlowVersion.objects.filter(saved_at__lte=(now or timezone.now()) - REPLACED_FOR)
    names = FlowVersion.objects.order_by().values_list("flow_name", flat=True).distinct()
    return sum(_forget(settled.filter(flow_name=name), keep, dry_run) for name in names)


def _forget(settled: "QuerySet[FlowVersion]", keep: int, dry_run: bool) -> int:
    kept = list(settled.order_by("-id").values_list("id", flat=True)[:keep])
    if not kept:
        return 0
    unneeded = settled.filter(
        ~Exists(Execution.objects.filter(version=OuterRef("pk"))),
        ~Exists(Flow.objects.filter(version=OuterRef("pk"))),
        id__lt=kept[-1],
    )
    return unneeded.count() if dry_run else delete_in_slices(unneeded.only("pk").order_by("id"), most=1)
