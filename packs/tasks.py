"""What is done from time to time: packs that are dead are deleted."""

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from flyte_site.changes import SERVER, record
from flyte_site.slices import slices
from packs.models import Pack
from packs.orphans import Orphaned, orphaned

log = structlog.get_logger(__name__)


def delete_dead_packs(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete packs that were not seen for FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS; the number of them.

    Safe to run twice at once. What waits for such a pack goes on waiting: it may come back.
    """
    dead = Pack.objects.filter(last_seen__lte=_deadline(now)).order_by("last_seen")
    if dry_run:
        return dead.count()
    deleted = sum(_delete(dead, keys) for keys in slices(dead))
    if deleted and (left := orphaned()).groups:
        log.warning("actions_orphaned", count=left.count, groups=len(left.groups))
    return deleted


def orphaned_without_dead_packs(now: datetime | None = None) -> Orphaned:
    """What waits for packs that are not registered, or would not be once the dead ones are deleted."""
    return orphaned(Pack.objects.filter(last_seen__gt=_deadline(now)))


def _deadline(now: datetime | None) -> datetime:
    """Packs that were not seen since are dead."""
    return (now or timezone.now()) - timedelta(seconds=settings.FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS)


@transaction.atomic
def _delete(dead: QuerySet[Pack], keys: list[int]) -> int:
    """Delete what of a slice is still dead."""
    doomed = list(dead.order_by().filter(pk__in=keys).select_for_update().values_list("pk", "identity"))
    for _, identity in doomed:
        record(SERVER, "deleted", "pack", identity, reason="not seen for too long")
    return Pack.objects.filter(pk__in=[key for key, _ in doomed]).delete()[0]
