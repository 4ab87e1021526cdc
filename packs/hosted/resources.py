"""Storage of hosted resources; besides `quotas`, no other module writes them.

Rows are claimed by conditional UPDATEs, like actions: any worker may continue with any row, and writes of a worker that
has lost its claim change nothing.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from flyte_site.core.secrets.encryption import DecryptionError, decrypt, encrypt, has_keys
from flyte_site.core.secrets.reencryption import ReencryptionCount, reencrypt_rows
from packs.hosted.plugin_api.interfaces import Requirements
from packs.models import Action, ActionState, HostedResource, HostedState, Pack


@dataclass(frozen=True)
class ResourceRequest:
    """A taken action, and the requirements of its resource."""

    action: Action
    pack: Pack
    plugin: str
    requirements: Requirements


def meta_fields(row: HostedResource, meta: Any) -> dict[str, Any]:
    """Return the fields that store a plugin's meta: encrypted if there are keys."""
    if meta is None or not has_keys():
        return {"meta": meta, "encrypted_meta": None}
    return {"meta": None, "encrypted_meta": encrypt(json.dumps({"of": row.token, "meta": meta}).encode())}


def read_meta(row: HostedResource) -> Any:
    """Return the plugin's meta; None if it is not set. Raise `DecryptionError`."""
    if row.encrypted_meta is None:
        return row.meta
    document = json.loads(decrypt(bytes(row.encrypted_meta)))
    if document["of"] != row.token:
        raise DecryptionError("it was encrypted for another resource")
    return document["meta"]


def reencrypt_meta(*, dry_run: bool) -> Iterator[ReencryptionCount]:
    """Encrypt metas with the first key if another one was used. Raise `NoEncryptionKeysError`."""
    return reencrypt_rows(
        HostedResource.objects.filter(encrypted_meta__isnull=False), "encrypted_meta", dry_run=dry_run
    )


def create_resource(request: ResourceRequest, now: datetime) -> HostedResource:
    """Create the row, within the transaction that takes the action."""
    action, requirements = request.action, request.requirements
    return HostedResource.objects.create(
        action_id=action.id,
        attempt=action.attempt,
        plugin=request.plugin,
        pack_identity=request.pack.identity,
        flow_name=action.flow_name,
        correlation_id=action.correlation_id,
        namespace=requirements.namespace.replace("\x00", "")[:255],
        per_flow=requirements.constraints.per_flow,
        per_execution=requirements.constraints.per_execution,
        taken_at=now,
        next_call_at=now,
    )


def remaining_capacity(plugin: str, size: int) -> int:
    """Return the number of resources that a plugin may still create."""
    return max(0, size - HostedResource.objects.filter(plugin=plugin).count())


def find_due(plugin: str, states: Sequence[HostedState], now: datetime, limit: int) -> list[HostedResource]:
    """Find rows with a due call, the longest due first."""
    if limit <= 0:
        return []
    is_free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    rows = HostedResource.objects.filter(is_free, plugin=plugin, state__in=states, next_call_at__lte=now)
    return list(rows.order_by("next_call_at", "id")[:limit])


def claim_due(rows: Sequence[HostedResource], now: datetime, duration: timedelta) -> list[HostedResource]:
    """Claim the rows; return those that no other worker has claimed since they were read."""
    claimed = []
    with transaction.atomic():
        for row in sorted(rows, key=lambda row_to_claim: row_to_claim.pk):  # always lock in the same order
            if _filter_claimed(row).update(claim_number=F("claim_number") + 1, claimed_until=now + duration):
                row.claim_number, row.claimed_until = row.claim_number + 1, now + duration
                claimed.append(row)
    return claimed


def _filter_claimed(row: HostedResource) -> "QuerySet[HostedResource]":
    return HostedResource.objects.filter(pk=row.pk, claim_number=row.claim_number)


def update_claimed(row: HostedResource, **changes: Any) -> bool:
    """Write changes if this worker still has the claim, and keep it."""
    for name, value in changes.items():
        setattr(row, name, value)
    return _filter_claimed(row).update(**changes) == 1


def release_claim(row: HostedResource, next_call_at: datetime, **changes: Any) -> bool:
    """Write changes if this worker still has the claim, and release it. An earlier poll requested meanwhile is kept."""
    changes["claimed_until"] = None
    if _filter_claimed(row).filter(next_call_at=row.next_call_at).update(**changes, next_call_at=next_call_at):
        return True
    return _filter_claimed(row).update(**changes) == 1


def store_meta_after_lost_claim(row: HostedResource, meta: Any) -> None:
    """Store the meta of `create` although the claim is lost: the current claimer may need it to delete the resource."""
    without_meta = HostedResource.objects.filter(pk=row.pk, meta__isnull=True, encrypted_meta__isnull=True)
    without_meta.update(create_called=True, **meta_fields(row, meta))


def delete_claimed(row: HostedResource) -> None:
    """Delete the row: nothing that matters is left at the service."""
    _filter_claimed(row).delete()


def find_active_actions(rows: Sequence[HostedResource]) -> dict[int, Action]:
    """Find the actions whose attempt is still active, by row."""
    actions = Action.objects.filter(state=ActionState.PENDING).in_bulk({row.action_id for row in rows})
    action_by_row = {row.pk: actions.get(row.action_id) for row in rows}
    return {row.pk: action for row in rows if (action := action_by_row[row.pk]) and action.attempt == row.attempt}


def cancel_orphaned(plugins: Sequence[str], now: datetime) -> int:
    """Make rows due whose attempt has ended, e.g. by a cancellation. Rows in a call are found after it."""
    pending_attempt = Action.objects.filter(
        id=OuterRef("action_id"), state=ActionState.PENDING, attempt=OuterRef("attempt")
    )
    orphaned = HostedResource.objects.filter(~Exists(pending_attempt), plugin__in=plugins, claimed_until__isnull=True)
    never_called = Q(state=HostedState.WAITING) | Q(state=HostedState.READY, create_called=False)
    deleted = orphaned.filter(never_called).delete()[0]
    return deleted + orphaned.filter(next_call_at__gt=now).exclude(state=HostedState.DELETING).update(next_call_at=now)


def find_leased_actions(plugins: Sequence[str]) -> "QuerySet[Action]":
    """Find the actions with existing or waiting resources."""
    active_resources = HostedResource.objects.filter(
        action_id=OuterRef("id"), attempt=OuterRef("attempt"), plugin__in=plugins
    )
    return Action.objects.filter(
        Exists(active_resources.exclude(state=HostedState.DELETING)), state=ActionState.PENDING
    )
