"""Periodic jobs: expired leases, expired idempotency keys, the work of hosted packs."""

from typing import Any

from django.utils import timezone

from flows.engine.complete import complete_action, expire_lease
from flows.engine.handle_event import IDEMPOTENCY_KEY_TTL, IdempotencyKey, handle_event
from flows.engine.step import EventSource, IncomingEvent
from flows.models import ReceivedKey
from flyte_site.db.batches import delete_in_batches
from packs.hosted_registry import get_hosted_registry
from packs.models import HostedResource, Pack
from packs.queue import action_queue
from packs.queue.action_secrets import redact_action_secrets_by_id

# Bounded, so that one round can't take all day; the next goes on.
MAX_LEASES_PER_RUN = 500


def expire_leases(*, dry_run: bool = False) -> int:
    """End attempts whose lease has ended: tried again, or FATAL. The number of them. Safe to run twice at once."""
    expired_ids = action_queue.find_expired_leases(timezone.now(), MAX_LEASES_PER_RUN)
    if dry_run:
        return len(expired_ids)
    return sum(expire_lease(action_id) is not None for action_id in expired_ids)


def prune_idempotency_keys(*, dry_run: bool = False) -> int:
    """Delete keys older than a day, slice by slice. The number of them."""
    expired = ReceivedKey.objects.filter(received_at__lte=timezone.now() - IDEMPOTENCY_KEY_TTL).order_by("pk")
    if dry_run:
        return expired.count()
    return delete_in_batches(expired)


class HostedResults:
    """Where the results of hosted packs go: into the engine, as those of other packs."""

    def complete(self, row: HostedResource, event: str, payload: Any) -> None:
        """Give the result of an attempt. One that came too late is refused, as any is."""
        pack, incoming = _build_event(row, event, payload)
        complete_action(row.action_id, pack, incoming, row.attempt)

    def progress(self, row: HostedResource, event: str, payload: Any) -> None:
        """Tell flows of an event on the way, once for each version."""
        _, incoming = _build_event(row, event, redact_action_secrets_by_id(row.action_id, payload))
        idempotency_key = IdempotencyKey(f"{row.token}-{row.version}", "progress")
        handle_event(incoming, idempotency_key)


def _build_event(row: HostedResource, event: str, payload: Any) -> tuple[Pack, IncomingEvent]:
    pack = Pack.objects.get(identity=row.pack_identity)
    now = timezone.now()
    return pack, IncomingEvent(EventSource.of_pack(pack), event, payload, now, now)


def run_hosted_pack(plugin_id: str) -> int:
    """A round of work for a hosted pack; how much was done. Any number of processes may do this at once."""
    return get_hosted_registry().reconcile(plugin_id, HostedResults())
