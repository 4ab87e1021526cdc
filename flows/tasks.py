"""What is done from time to time: leases that ended, idempotency keys that nobody needs, the work of hosted packs."""

from typing import Any

from django.utils import timezone

from flows import engine
from flows.models import ReceivedKey
from flows.steps import Event, PackSeen
from flyte_site.slices import delete_in_slices
from packs import queue
from packs.models import HostedResource, Pack
from packs.sealed import without_echo_of
from packs.webapi.hosting import hosting

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


class HostedResults:
    """Where the results of hosted packs go: into the engine, as those of other packs."""

    def complete(self, row: HostedResource, event: str, payload: Any) -> None:
        """Give the result of an attempt. One that came too late is refused, as any is."""
        pack, told = _told(row, event, payload)
        engine.complete(row.action_id, pack, told, row.attempt)

    def progress(self, row: HostedResource, event: str, payload: Any) -> None:
        """Tell flows of an event on the way, once for each version."""
        _, told = _told(row, event, without_echo_of(row.action_id, payload))
        once = engine.Once(f"{row.token}-{row.version}", "progress")
        engine.handle_event(told, once)


def _told(row: HostedResource, event: str, payload: Any) -> tuple[Pack, Event]:
    pack = Pack.objects.get(identity=row.pack_identity)
    now = timezone.now()
    return pack, Event(PackSeen(pack.identity, pack.name, pack.labels), event, payload, now, now)


def work_hosted(plugin_id: str) -> int:
    """A round of work for a hosted pack; how much was done. Any number of processes may do this at once."""
    return hosting().work(plugin_id, HostedResults())
