"""Quotas of hosted packs: admit waiting resources while their namespace's quota and their constraints allow it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from packs.models import QUOTA_STATES, HostedNamespace, HostedResource, HostedState

# Rows per batch.
BATCH_SIZE = 500
QUOTA_REASON = "waiting for quota of namespace {}: {} of {} in use"
CONSTRAINT_REASON = "waiting: the plugin's limit per flow or per execution is reached"


def admit_waiting(plugin: str, quotas: Mapping[str, int], now: datetime) -> int:
    """Admit waiting resources, oldest first, up to quotas and constraints; return their number."""
    waiting = HostedResource.objects.filter(plugin=plugin, state=HostedState.WAITING)
    is_limited = Q(namespace__in=list(quotas)) | Q(per_flow__isnull=False) | Q(per_execution__isnull=False)
    unlimited_ids = list(waiting.exclude(is_limited).values_list("id", flat=True)[:BATCH_SIZE])
    admitted = (
        waiting.filter(id__in=unlimited_ids).update(state=HostedState.READY, next_call_at=now) if unlimited_ids else 0
    )
    namespaces = waiting.filter(is_limited).order_by().values_list("namespace", flat=True).distinct()[:BATCH_SIZE]
    return admitted + sum(_admit_namespace(plugin, name, quotas.get(name), now) for name in list(namespaces))


def _admit_namespace(plugin: str, namespace: str, quota: int | None, now: datetime) -> int:
    """Admit waiting resources of a namespace.

    Its row is locked, so that two workers never both admit the last one. If another worker has locked it, admit none.
    """
    in_namespace = HostedResource.objects.filter(plugin=plugin, namespace=namespace)
    waiting = in_namespace.filter(state=HostedState.WAITING).order_by("id")
    if (
        quota is not None
        and in_namespace.filter(state__in=QUOTA_STATES).count() >= quota
        and not waiting.filter(reason="").exists()
    ):
        return 0
    HostedNamespace.objects.get_or_create(plugin=plugin, namespace=namespace)
    with transaction.atomic():
        lock = HostedNamespace.objects.select_for_update(skip_locked=True)
        if not lock.filter(plugin=plugin, namespace=namespace).exists():
            return 0
        admitted = list(in_namespace.filter(state__in=QUOTA_STATES).values_list("flow_name", "correlation_id"))
        candidates = list(waiting[:BATCH_SIZE])
        admitted_ids, reasons = _select_admitted(candidates, admitted, namespace, quota)
        HostedResource.objects.filter(id__in=admitted_ids).update(state=HostedState.READY, reason="", next_call_at=now)
        for reason in sorted(set(reasons.values())):
            ids = [row_id for row_id, row_reason in reasons.items() if row_reason == reason]
            HostedResource.objects.filter(id__in=ids).update(reason=reason)
    return len(admitted_ids)


def _select_admitted(
    candidates: Sequence[HostedResource], admitted: Sequence[tuple[str, str]], namespace: str, quota: int | None
) -> tuple[list[int], dict[int, str]]:
    """Return the ids to admit, and new reasons why the others wait."""
    flows, executions = Counter(flow for flow, _ in admitted), Counter(execution for _, execution in admitted)
    used, admitted_ids, reasons = len(admitted), [], {}
    for row in candidates:
        is_full = quota is not None and used >= quota
        is_constrained = _is_reached(row.per_flow, flows[row.flow_name]) or _is_reached(
            row.per_execution, executions[row.correlation_id]
        )
        if is_full or is_constrained:
            reason = QUOTA_REASON.format(namespace, used, quota) if is_full else CONSTRAINT_REASON
            if not row.reason:
                reasons[row.pk] = reason
            continue
        admitted_ids.append(row.pk)
        used += 1
        flows[row.flow_name] += 1
        executions[row.correlation_id] += 1
    return admitted_ids, reasons


def _is_reached(limit: int | None, count: int) -> bool:
    return limit is not None and count >= limit
