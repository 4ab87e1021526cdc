"""What is done from time to time: packs that are dead are deleted."""

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from flyte_site.slices import delete_in_slices
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
    deleted = delete_in_slices(dead)
    if deleted and (left := orphaned()).groups:
        log.warning("actions_orphaned", count=left.count, groups=len(left.groups))
    return deleted


def orphaned_without_dead_packs(now: datetime | None = None) -> Orphaned:
    """What waits for packs that are not registered, or would not be once the dead ones are deleted."""
    return orphaned(Pack.objects.filter(last_seen__gt=_deadline(now)))


def _deadline(now: datetime | None) -> datetime:
    """Packs that were not seen since are dead."""
    return (now or timezone.now()) - timedelta(seconds=settings.FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS)
