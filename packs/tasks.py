"""What is done from time to time: packs that are dead are deleted."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from flyte_site.slices import delete_in_slices
from packs.models import Pack


def delete_dead_packs(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete packs that were not seen for FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS; the number of them.

    Safe to run twice at once. What waits for such a pack goes on waiting: it may come back.
    """
    grace = timedelta(seconds=settings.FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS)
    dead = Pack.objects.filter(last_seen__lte=(now or timezone.now()) - grace).order_by("last_seen")
    return dead.count() if dry_run else delete_in_slices(dead)
