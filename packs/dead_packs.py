"""Deletion of dead packs: those that were not seen for the grace period."""

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from flyte_site.auth.activity_log import SERVER_ACTOR, log_activity
from flyte_site.core.clock import database_clock
from flyte_site.db.batch_deletion import iter_batches
from packs.models import Pack
from packs.queue.backlog import OrphanReport, find_orphans

log = structlog.get_logger(__name__)


def delete_dead_packs(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete packs that were not seen for FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS; return their number.

    Safe to run concurrently. Actions queued for such a pack stay queued: it may return.
    """
    dead = Pack.objects.filter(last_seen__lte=_dead_before(now)).order_by("last_seen")
    if dry_run:
        return dead.count()
    deleted = sum(_delete_batch(dead, keys) for keys in iter_batches(dead))
    if deleted and (orphans := find_orphans()).groups:
        log.warning("actions_orphaned", count=orphans.count, groups=len(orphans.groups))
    return deleted


def find_orphans_without_dead_packs(now: datetime | None = None) -> OrphanReport:
    """Find actions that no pack could take, now or after the deletion of the dead packs."""
    return find_orphans(Pack.objects.filter(last_seen__gt=_dead_before(now)))


def _dead_before(now: datetime | None) -> datetime:
    """Return the time since which a pack must have been seen to be alive."""
    return (now or database_clock().now_without_steps()) - timedelta(
        seconds=settings.FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS
    )


@transaction.atomic
def _delete_batch(dead: QuerySet[Pack], keys: list[int]) -> int:
    """Delete the packs of a batch that are still dead; skip those that another transaction has locked."""
    locked = dead.order_by("pk").filter(pk__in=keys).select_for_update(skip_locked=True)
    still_dead = list(locked.values_list("pk", "identity"))
    for _, identity in still_dead:
        log_activity(SERVER_ACTOR, "deleted", "pack", identity, reason="not seen for the grace period")
    return Pack.objects.filter(pk__in=[key for key, _ in still_dead]).delete()[0]
