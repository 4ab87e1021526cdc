"""What is done from time to time: leases that ended, idempotency keys that nobody needs any more."""

from django.utils import timezone

from flows import engine
from flows.models import ReceivedKey
from flyte_site.slices import delete_in_slices
from packs import queue

# Bounded, so that one round can't take all day; the next goes on.
LEASES_A_ROUND = 500


def end_leases(*, dry_run: bool = False) -> int:
    """End attempts whose lease has ended: tried again, or FATAL. The number of them. Safe to run twice at once."""
    ended = queue.leases_that_ended(timezone.now(), LEASES_A_ROUND)
    if dry_run:
        return len(ended)
    return sum(engine.end_lease(action_id) is not None for action_id in ended)


def forget_idempotency_keys(*, dry_run: bool = False) -> int:
    """Delete keys older than a day, slice by slice. The number of them."""
    old = ReceivedKey.objects.filter(received_at__lte=timezone.now() - engine.KEY_LIFE).order_by("pk")
    if dry_run:
        return old.count()
    return delete_in_slices(old)
