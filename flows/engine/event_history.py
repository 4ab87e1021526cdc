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

from flows.engine.step import IncomingEvent
from flows.models import Event as EventRow
from flyte_site.core.ids import new_id
from flyte_site.core.safe_tracebacks import safe_database_message
from flyte_site.db.table_sql import TableSQL
from flyte_site.db.writes import DirectWrites, Writes

log = structlog.get_logger(__name__)

EVENT_TABLE = TableSQL(EventRow)
_PRUNE_SQL = """DELETE FROM flows_event WHERE pack_identity = %s AND name = %s AND id <= (
    SELECT id FROM flows_event WHERE pack_identity = %s AND name = %s ORDER BY id DESC LIMIT 1 OFFSET %s)"""

# Between two samples of one pack and event name, and how many there may be in that time of all together, so that a
# flood of events that nobody listens to, be it under ever new names, costs next to nothing. Both are of one process.
SAMPLE_INTERVAL_SECONDS = 60.0
MAX_SAMPLES_PER_INTERVAL = 60
MAX_TRACKED_NAMES = 4096
# Of all packs and names together.
MAX_SAMPLES = 2000


class UnmatchedEventSampler:
    """Says which of the events that nobody listens to is kept: the first of a name, then one a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_sampled: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._interval_start = float("-inf")
        self._interval_count = 0

    def should_keep(self, event: IncomingEvent, now: float) -> bool:
        """Whether this one is kept; `now` is in seconds of any clock that goes on."""
        key = (event.pack.identity, event.name)
        with self._lock:
            if now - self._last_sampled.get(key, float("-inf")) < SAMPLE_INTERVAL_SECONDS:
                return False
            if now - self._interval_start >= SAMPLE_INTERVAL_SECONDS:
                self._interval_start, self._interval_count = now, 0
            if self._interval_count >= MAX_SAMPLES_PER_INTERVAL:
                return False
            self._interval_count += 1
            self._last_sampled[key] = now
            self._last_sampled.move_to_end(key)
            if len(self._last_sampled) > MAX_TRACKED_NAMES:
                self._last_sampled.popitem(last=False)
            return True


unmatched_event_sampler = UnmatchedEventSampler()


class PruneSchedule:
    """Says when old events are forgotten: with the first of a name, then with one in so many that a fifth more than are
    kept may be there; doing it each time would cost a commit for every event."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}

    def is_due(self, event: IncomingEvent, keep: int) -> bool:
        key = (event.pack.identity, event.name)
        with self._lock:
            if len(self._counts) >= MAX_TRACKED_NAMES:
                self._counts.clear()
            count = self._counts[key] = self._counts.get(key, -1) + 1
        return count % max(1, keep // 5) == 0


prune_schedule = PruneSchedule()


def record_event(
    writes: Writes, event_id: str, event: IncomingEvent, outcomes: Sequence[dict[str, Any]], correlation_id: str = ""
) -> None:
    """Record an event with its outcome by flow. After the commit `prune_events` deletes the oldest ones."""
    if settings.FLYTE_EVENT_KEEP:
        _insert_event(writes, event_id, event, correlation_id, heard=True, outcomes=list(outcomes))


def _insert_event(
    writes: Writes, event_id: str, event: IncomingEvent, correlation_id: str, **extra_fields: Any
) -> None:
    payload, size = _limit_payload(event.payload)
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
        **extra_fields,
    )
    EVENT_TABLE.insert(writes, [row])


def _limit_payload(payload: Any) -> tuple[Any, int]:
    """The payload and 0; or None and its size, where it is larger than what is kept."""
    if payload is None:
        return None, 0
    size = len(json.dumps(payload, separators=(",", ":")))
    return (payload, 0) if size <= settings.FLYTE_EVENT_KEEP_BYTES else (None, size)


def prune_events(event: IncomingEvent) -> None:
    """Leave the last few events of this pack and name, from time to time. The event itself is committed: a failure here
    must not tell the pack otherwise, and the next event does what this one left."""
    keep = settings.FLYTE_EVENT_KEEP
    if not prune_schedule.is_due(event, keep):
        return
    try:
        with connection.cursor() as cursor:
            source_and_name = [event.pack.identity, event.name]
            cursor.execute(_PRUNE_SQL, [*source_and_name, *source_and_name, keep])
    except DatabaseError as error:
        log.warning(
            "old_events_kept", pack=event.pack.identity, event_name=event.name, error=safe_database_message(error)
        )


def record_sample(event: IncomingEvent, correlation_id: str = "") -> None:
    """Keep an event that no flow listened to, if it is time for one. Never fails: the event itself was taken."""
    if not settings.FLYTE_EVENT_SAMPLES or not settings.FLYTE_EVENT_KEEP:
        return
    if not unmatched_event_sampler.should_keep(event, time.monotonic()):
        return
    unmatched = EventRow.objects.filter(heard=False)
    try:
        with transaction.atomic():
            _insert_event(DirectWrites(), new_id(), event, correlation_id, heard=False)
            same_name = unmatched.filter(pack_identity=event.pack.identity, name=event.name)
            _keep_newest(same_name, settings.FLYTE_EVENT_SAMPLES)
            _keep_newest(unmatched, MAX_SAMPLES)
    except DatabaseError as error:
        log.warning(
            "no_sample_kept", pack=event.pack.identity, event_name=event.name, error=safe_database_message(error)
        )


def _keep_newest(rows: QuerySet[EventRow], count: int) -> None:
    """Delete all but the newest."""
    newest_first = rows.order_by("-id")
    if newest_excess_id := newest_first.values_list("id", flat=True)[count : count + 1].first():
        rows.filter(id__lte=newest_excess_id).delete()


def find_recent_events(pack_name: str, event_name: str, limit: int = 20) -> list[EventRow]:
    """The last events of this name from packs of this name that are kept, newest first; by an index."""
    return list(EventRow.objects.filter(pack_name=pack_name, name=event_name).order_by("-id")[:limit])
