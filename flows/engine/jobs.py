"""Periodic jobs: expire leases, prune idempotency keys, reconcile hosted packs."""

from typing import Any

import structlog
from django.utils import timezone

from flows.engine.complete import complete_action, expire_lease
from flows.engine.handle_event import IDEMPOTENCY_KEY_TTL, IdempotencyKey, handle_event
from flows.engine.step import EventSource, IncomingEvent
from flows.models import ReceivedKey
from flyte_site.core.clock import database_clock
from flyte_site.db.batch_deletion import delete_in_batches
from flyte_site.db.conflicts import is_lock_conflict, is_unavailable
from packs.hosted_registry import get_hosted_registry
from packs.models import HostedResource, Pack
from packs.queue.action_secrets import redact_action_secrets_by_id
from packs.queue.leases import find_expired_leases

log = structlog.get_logger(__name__)

# Bounds the length of a run; the next run continues.
MAX_LEASES_PER_RUN = 500


def expire_leases(*, dry_run: bool = False) -> int:
    """End the attempts whose lease has expired; return their number. Can run concurrently.

    Actions that another transaction has locked, or whose attempt can't be ended, wait for the next run.
    """
    expired_ids = find_expired_leases(database_clock().now(), MAX_LEASES_PER_RUN)
    if dry_run:
        return len(expired_ids)
    return sum(_try_expire_lease(action_id) for action_id in expired_ids)


def _try_expire_lease(action_id: str) -> bool:
    """End the attempt of an action; return False if that failed. Raise if the database is unavailable."""
    try:
        return expire_lease(action_id) is not None
    except Exception as error:
        if is_unavailable(error) and not is_lock_conflict(error):
            raise
        log.error("lease_not_ended", action=action_id, exc_info=None if is_lock_conflict(error) else error)
        return False


def prune_idempotency_keys(*, dry_run: bool = False) -> int:
    """Delete idempotency keys older than a day in batches; return their number."""
    expired = ReceivedKey.objects.filter(received_at__lte=timezone.now() - IDEMPOTENCY_KEY_TTL).order_by("pk")
    if dry_run:
        return expired.count()
    return delete_in_batches(expired)


class HostedResults:
    """Receiver of the results of hosted packs, which the engine handles like those of client packs."""

    def complete(self, row: HostedResource, event: str, payload: Any) -> None:
        """Record the result of an attempt; the engine rejects a late one."""
        pack, incoming = _build_event(row, event, payload)
        complete_action(row.action_id, pack, incoming, row.attempt)

    def progress(self, row: HostedResource, event: str, payload: Any) -> None:
        """Handle a progress event, once per version."""
        _, incoming = _build_event(row, event, redact_action_secrets_by_id(row.action_id, payload))
        idempotency_key = IdempotencyKey(f"{row.token}-{row.version}", "progress")
        handle_event(incoming, idempotency_key)


def _build_event(row: HostedResource, event: str, payload: Any) -> tuple[Pack, IncomingEvent]:
    pack = Pack.objects.get(identity=row.pack_identity)
    now = timezone.now()
    return pack, IncomingEvent(EventSource.of_pack(pack), event, payload, now, now)


def run_hosted_pack(plugin_id: str) -> int:
    """Reconcile the resources of a hosted pack; return the amount of work done. Can run concurrently."""
    return get_hosted_registry().reconcile(plugin_id, HostedResults())
