"""The only writer of what hosted packs have at their services.

Rows are claimed by conditional UPDATEs, as actions are taken: any worker may go on with any row, and what a worker
writes that has lost its claim changes nothing.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from flyte_site.encryption import UnreadableError, decrypt, encrypt, has_keys
from flyte_site.renewal import Renewed, renew_rows
from packs.models import HOLDING, Action, HostedNamespace, HostedResource, HostedState, Pack, State
from packs.webapi.interfaces import Requirements

# How many rows are looked at together.
SLICE = 500
QUOTA_REASON = "waits for the quota of namespace {}: {} of {} in use"
CONSTRAINT_REASON = "waits: as many of its flow or execution as the plugin allows are under way"


@dataclass(frozen=True)
class Wanted:
    """An action that was taken, and what its resource counts against."""

    action: Action
    pack: Pack
    plugin: str
    requirements: Requirements


def kept(row: HostedResource, meta: Any) -> dict[str, Any]:
    """The fields that keep what a plugin wants to remember of a resource: encrypted where there are keys."""
    if meta is None or not has_keys():
        return {"meta": meta, "sealed": None}
    return {"meta": None, "sealed": encrypt(json.dumps({"of": row.token, "meta": meta}).encode())}


def meta_of(row: HostedResource) -> Any:
    """What the plugin wanted to be remembered; None where there is nothing. Raises `UnreadableError`."""
    if row.sealed is None:
        return row.meta
    found = json.loads(decrypt(bytes(row.sealed)))
    if found["of"] != row.token:
        raise UnreadableError("it was encrypted for another resource")
    return found["meta"]


def renew_meta(*, dry_run: bool) -> Iterator[Renewed]:
    """Encrypt with the first key what plugins remember, where another one did it. Raises `NoKeysError`."""
    return renew_rows(HostedResource.objects.filter(sealed__isnull=False), "sealed", dry_run=dry_run)


def begin(wanted: Wanted, now: datetime) -> HostedResource:
    """Note that the action's resource is to be there; within the transaction that takes the action."""
    action, requirements = wanted.action, wanted.requirements
    return HostedResource.objects.create(
        action_id=action.id,
        attempt=action.attempt,
        plugin=wanted.plugin,
        pack_identity=wanted.pack.identity,
        flow_name=action.flow_name,
        correlation_id=action.correlation_id,
        namespace=requirements.namespace.replace("\x00", "")[:255],
        per_flow=requirements.constraints.per_flow,
        per_execution=requirements.constraints.per_execution,
        taken_at=now,
        next_at=now,
    )


def room(plugin: str, size: int) -> int:
    """How many more resources a plugin may have."""
    return max(0, size - HostedResource.objects.filter(plugin=plugin).count())


def admit(plugin: str, quotas: Mapping[str, int], now: datetime) -> int:
    """Let those that wait go on, oldest first, as far as quotas and constraints allow; how many could."""
    waiting = HostedResource.objects.filter(plugin=plugin, state=HostedState.WAITING)
    bounded = Q(namespace__in=list(quotas)) | Q(per_flow__isnull=False) | Q(per_execution__isnull=False)
    free = list(waiting.exclude(bounded).values_list("id", flat=True)[:SLICE])
    admitted = waiting.filter(id__in=free).update(state=HostedState.READY, next_at=now) if free else 0
    namespaces = waiting.filter(bounded).order_by().values_list("namespace", flat=True).distinct()[:SLICE]
    return admitted + sum(_admit_one(plugin, name, quotas.get(name), now) for name in list(namespaces))


def _admit_one(plugin: str, namespace: str, quota: int | None, now: datetime) -> int:
    """The same for one namespace. Its row is locked, so that two workers never both let the last one in."""
    own = HostedResource.objects.filter(plugin=plugin, namespace=namespace)
    waiting = own.filter(state=HostedState.WAITING).order_by("id")
    if quota is not None and own.filter(state__in=HOLDING).count() >= quota and not waiting.filter(reason="").exists():
        return 0
    HostedNamespace.objects.get_or_create(plugin=plugin, namespace=namespace)
    with transaction.atomic():
        HostedNamespace.objects.select_for_update().get(plugin=plugin, namespace=namespace)
        held = list(own.filter(state__in=HOLDING).values_list("flow_name", "correlation_id"))
        queue = list(waiting[:SLICE])
        chosen, reasons = _choose(queue, held, namespace, quota)
        HostedResource.objects.filter(id__in=chosen).update(state=HostedState.READY, reason="", next_at=now)
        for reason in sorted(set(reasons.values())):
            ids = [one for one, why in reasons.items() if why == reason]
            HostedResource.objects.filter(id__in=ids).update(reason=reason)
    return len(chosen)


def _choose(
    queue: Sequence[HostedResource], held: Sequence[tuple[str, str]], namespace: str, quota: int | None
) -> tuple[list[int], dict[int, str]]:
    """Ids of those that may go on; and why the others wait, where that is not noted yet."""
    flows, executions = Counter(flow for flow, _ in held), Counter(execution for _, execution in held)
    used, chosen, reasons = len(held), [], {}
    for row in queue:
        full = quota is not None and used >= quota
        crowded = _reached(row.per_flow, flows[row.flow_name]) or _reached(
            row.per_execution, executions[row.correlation_id]
        )
        if full or crowded:
            reason = QUOTA_REASON.format(namespace, used, quota) if full else CONSTRAINT_REASON
            if not row.reason:
                reasons[row.pk] = reason
            continue
        chosen.append(row.pk)
        used += 1
        flows[row.flow_name] += 1
        executions[row.correlation_id] += 1
    return chosen, reasons


def _reached(bound: int | None, count: int) -> bool:
    return bound is not None and count >= bound


def due(plugin: str, states: Sequence[HostedState], now: datetime, limit: int) -> list[HostedResource]:
    """What a call should be made for now, the longest due first."""
    if limit <= 0:
        return []
    free = Q(busy_until__isnull=True) | Q(busy_until__lte=now)
    rows = HostedResource.objects.filter(free, plugin=plugin, state__in=states, next_at__lte=now)
    return list(rows.order_by("next_at", "id")[:limit])


def claim(rows: Sequence[HostedResource], now: datetime, lasts: timedelta) -> list[HostedResource]:
    """Those of the rows that nobody else has claimed since they were read."""
    claimed = []
    with transaction.atomic():
        for row in sorted(rows, key=lambda one: one.pk):  # all lock in one order
            if _mine(row).update(claim=F("claim") + 1, busy_until=now + lasts):
                row.claim, row.busy_until = row.claim + 1, now + lasts
                claimed.append(row)
    return claimed


def _mine(row: HostedResource) -> "QuerySet[HostedResource]":
    return HostedResource.objects.filter(pk=row.pk, claim=row.claim)


def note(row: HostedResource, **changes: Any) -> bool:
    """Write what changed, if the row is still this worker's; keeps the claim."""
    for name, value in changes.items():
        setattr(row, name, value)
    return _mine(row).update(**changes) == 1


def release(row: HostedResource, next_at: datetime, **changes: Any) -> bool:
    """The same, and give the claim back. Whoever asked meanwhile for an earlier look gets it."""
    changes["busy_until"] = None
    if _mine(row).filter(next_at=row.next_at).update(**changes, next_at=next_at):
        return True
    return _mine(row).update(**changes) == 1


def keep_meta(row: HostedResource, meta: Any) -> None:
    """Keep what `create` gave although the claim is lost: whoever has it now may need it to delete."""
    nothing = HostedResource.objects.filter(pk=row.pk, meta__isnull=True, sealed__isnull=True)
    nothing.update(asked=True, **kept(row, meta))


def end(row: HostedResource) -> None:
    """Forget it: nothing is left at its service, or nothing that matters."""
    _mine(row).delete()


def wake(action_id: str, now: datetime) -> None:
    """Have the action's resource looked at as soon as may be."""
    HostedResource.objects.filter(action_id=action_id).update(next_at=now)


def wanted(rows: Sequence[HostedResource]) -> dict[int, Action]:
    """By row, its action – of those rows whose attempt is still under way."""
    actions = Action.objects.filter(state=State.PENDING).in_bulk({row.action_id for row in rows})
    found = {row.pk: actions.get(row.action_id) for row in rows}
    return {row.pk: action for row in rows if (action := found[row.pk]) and action.attempt == row.attempt}


def call_off(plugins: Sequence[str], now: datetime) -> int:
    """Have those looked at now whose attempt is over: cancelled, say. What is busy is found when it is done."""
    under_way = Action.objects.filter(id=OuterRef("action_id"), state=State.PENDING, attempt=OuterRef("attempt"))
    over = HostedResource.objects.filter(~Exists(under_way), plugin__in=plugins, busy_until__isnull=True)
    never_asked = Q(state=HostedState.WAITING) | Q(state=HostedState.READY, asked=False)
    forgotten = over.filter(never_asked).delete()[0]
    return forgotten + over.filter(next_at__gt=now).exclude(state=HostedState.DELETING).update(next_at=now)


def leased(plugins: Sequence[str]) -> "QuerySet[Action]":
    """The actions whose resources are there or wait to be."""
    mine = HostedResource.objects.filter(action_id=OuterRef("id"), attempt=OuterRef("attempt"), plugin__in=plugins)
    return Action.objects.filter(Exists(mine.exclude(state=HostedState.DELETING)), state=State.PENDING)
