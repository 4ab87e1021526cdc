"""Events that are kept: the last few that flows listened to, and now and then one that none did.

The latter are there so that somebody can write the first flow for an event.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet

from flows.models import Event as EventRow
from flows.steps import Event
from flyte_site.failures import database_message
from flyte_site.ids import new_id
from flyte_site.rows import Rows

log = structlog.get_logger(__name__)

EVENTS = Rows(EventRow)
_FORGET = """DELETE FROM flows_event WHERE pack_identity = %s AND name = %s AND id <= (
    SELECT id FROM flows_event WHERE pack_identity = %s AND name = %s ORDER BY id DESC LIMIT 1 OFFSET %s)"""

# Between two samples of one pack and event name, and how many there may be in that time of all together, so that a
# flood of events that nobody listens to, be it under ever new names, costs next to nothing. Both are of one process.
SECONDS_BETWEEN = 60.0
MOST_BETWEEN = 60
MOST_NAMES = 4096
# Of all packs and names together.
MOST_SAMPLES = 2000


class Thinning:
    """Says which of the events that nobody listens to is kept: the first of a name, then one a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._began = float("-inf")
        self._count = 0

    def lets_pass(self, event: Event, now: float) -> bool:
        """Whether this one is kept; `now` is in seconds of any clock that goes on."""
        key = (event.pack.identity, event.name)
        with self._lock:
            if now - self._kept.get(key, float("-inf")) < SECONDS_BETWEEN:
                return False
            if now - self._began >= SECONDS_BETWEEN:
                self._began, self._count = now, 0
            if self._count >= MOST_BETWEEN:
                return False
            self._count += 1
            self._kept[key] = now
            self._kept.move_to_end(key)
            if len(self._kept) > MOST_NAMES:
                self._kept.popitem(last=False)
            return True


thinning = Thinning()


class Forgetting:
    """Says when old events are forgotten: with the first of a name, then with one in so many that a fifth more than are
    kept may be there; doing it each time would cost a commit for every event."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}

    def is_due(self, event: Event, keep: int) -> bool:
        key = (event.pack.identity, event.name)
        with self._lock:
            if len(self._counts) >= MOST_NAMES:
                self._counts.clear()
            count = self._counts[key] = self._counts.get(key, -1) + 1
        return count % max(1, keep // 5) == 0


forgetting = Forgetting()


def record(event_id: str, event: Event, outcomes: Sequence[dict[str, Any]], correlation_id: str = "") -> None:
    """Keep an event with what each flow made of it, in the caller's transaction; `forget_old` goes with it."""
    if settings.FLYTE_EVENT_KEEP:
        _create(event_id, event, correlation_id, heard=True, outcomes=list(outcomes))


def _create(event_id: str, event: Event, correlation_id: str, **values: Any) -> None:
    payload, size = _within_bounds(event.payload)
    row = EventRow(
        id=event_id,
        name=event.name,
        pack_identity=event.pack.identity,
        pack_name=event.pack.name,
        pack_labels=dict(event.pack.labels),
        payload=payload,
        payload_bytes=size,
        created_at=event.created_at,
        received_at=event.received_at,
        correlation_id=correlation_id,
        **values,
    )
    EVENTS.insert([row])


def _within_bounds(payload: Any) -> tuple[Any, int]:
    """The payload and 0; or None and its size, where it is larger than what is kept."""
    if payload is None:
        return None, 0
    size = len(json.dumps(payload, separators=(",", ":")))
    return (payload, 0) if size <= settings.FLYTE_EVENT_KEEP_BYTES else (None, size)


def forget_old(event: Event) -> None:
    """Leave the last few events of this pack and name, from time to time. The event itself is committed: a failure here
    must not tell the pack otherwise, and the next event does what this one left."""
    keep = settings.FLYTE_EVENT_KEEP
    if not forgetting.is_due(event, keep):
        return
    try:
        with connection.cursor() as cursor:
            own = [event.pack.identity, event.name]
            cursor.execute(_FORGET, [*own, *own, keep])
    except DatabaseError as error:
        log.warning("old_events_kept", pack=event.pack.identity, event_name=event.name, error=database_message(error))


def sample(event: Event, correlation_id: str = "") -> None:
    """Keep an event that no flow listened to, if it is time for one. Never fails: the event itself was taken."""
    if not settings.FLYTE_EVENT_SAMPLES or not settings.FLYTE_EVENT_KEEP:
        return
    if not thinning.lets_pass(event, time.monotonic()):
        return
    unheard = EventRow.objects.filter(heard=False)
    try:
        with transaction.atomic():
            _create(new_id(), event, correlation_id, heard=False)
            own = unheard.filter(pack_identity=event.pack.identity, name=event.name)
            _leave(own, settings.FLYTE_EVENT_SAMPLES)
            _leave(unheard, MOST_SAMPLES)
    except DatabaseError as error:
        log.warning("no_sample_kept", pack=event.pack.identity, event_name=event.name, error=database_message(error))


def _leave(rows: QuerySet[EventRow], count: int) -> None:
    """Delete all but the newest."""
    newest_first = rows.order_by("-id")
    if excess := newest_first.values_list("id", flat=True)[count : count + 1].first():
        rows.filter(id__lte=excess).delete()


def recent_events(pack_name: str, event_name: str, limit: int = 20) -> list[EventRow]:
    """The last events of this name from packs of this name that are kept, newest first; by an index."""
    return list(EventRow.objects.filter(pack_name=pack_name, name=event_name).order_by("-id")[:limit])
