"""Event history: the last events that flows matched, and samples of unmatched ones.

The samples help to write the first flow for an event.
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
from flyte_site.core.observability.safe_tracebacks import safe_database_message
from flyte_site.core.runtime import process_wide
from flyte_site.db.table_sql import DirectWrites, TableSQL, Writes

log = structlog.get_logger(__name__)

EVENT_TABLE = TableSQL(EventRow)
_PRUNE_SQL = """DELETE FROM flows_event WHERE pack_identity = %s AND name = %s AND id <= (
    SELECT id FROM flows_event WHERE pack_identity = %s AND name = %s ORDER BY id DESC LIMIT 1 OFFSET %s)"""

# Interval between two samples of one pack and event name, and the limit of all samples in an interval, per process: a
# flood of unmatched events, even with ever new names, costs very little.
SAMPLE_INTERVAL_SECONDS = 60.0
MAX_SAMPLES_PER_INTERVAL = 60
MAX_TRACKED_NAMES = 4096
# Total of all packs and names.
MAX_SAMPLES = 2000


class UnmatchedEventSampler:
    """Rate limit for samples of unmatched events: the first of a pack and name, then one per interval."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_sampled: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._interval_start = float("-inf")
        self._interval_count = 0

    def should_keep(self, event: IncomingEvent, now: float) -> bool:
        """Return True if this event is due to be recorded, and count it; `now` is in seconds of a monotonic clock."""
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


@process_wide
def unmatched_event_sampler() -> UnmatchedEventSampler:
    return UnmatchedEventSampler()


class PruneSchedule:
    """Schedule for pruning the events of a pack and name: on its first event, then on one of every `keep // 5`.

    So at most a fifth more events than `keep` are stored. Pruning on each event would cost a commit for each.
    """

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


@process_wide
def prune_schedule() -> PruneSchedule:
    return PruneSchedule()


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
    """Return the payload and 0, or None and its size in bytes if it exceeds FLYTE_EVENT_KEEP_BYTES."""
    if payload is None:
        return None, 0
    size = len(json.dumps(payload, separators=(",", ":")))
    return (payload, 0) if size <= settings.FLYTE_EVENT_KEEP_BYTES else (None, size)


def prune_events(event: IncomingEvent) -> None:
    """Delete all but the last FLYTE_EVENT_KEEP events of this pack and name, if that is due.

    Do not raise `DatabaseError`: the event itself is committed, and a later event prunes again.
    """
    keep = settings.FLYTE_EVENT_KEEP
    if not prune_schedule().is_due(event, keep):
        return
    try:
        with connection.cursor() as cursor:
            source_and_name = [event.pack.identity, event.name]
            cursor.execute(_PRUNE_SQL, [*source_and_name, *source_and_name, keep])
    except DatabaseError as error:
        log.warning(
            "event_pruning_failed", pack=event.pack.identity, event_name=event.name, error=safe_database_message(error)
        )


def record_sample(event: IncomingEvent, correlation_id: str = "") -> None:
    """Record an unmatched event if a sample is due. Do not raise `DatabaseError`: the event itself was handled."""
    if not settings.FLYTE_EVENT_SAMPLES or not settings.FLYTE_EVENT_KEEP:
        return
    if not unmatched_event_sampler().should_keep(event, time.monotonic()):
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
            "event_sampling_failed", pack=event.pack.identity, event_name=event.name, error=safe_database_message(error)
        )


def _keep_newest(rows: QuerySet[EventRow], count: int) -> None:
    """Delete all but the newest `count` rows."""
    newest_first = rows.order_by("-id")
    if newest_excess_id := newest_first.values_list("id", flat=True)[count : count + 1].first():
        rows.filter(id__lte=newest_excess_id).delete()


def find_recent_events(pack_name: str, event_name: str, limit: int = 20) -> list[EventRow]:
    """Find the last stored events of this pack and event name, newest first, by an index."""
    return list(EventRow.objects.filter(pack_name=pack_name, name=event_name).order_by("-id")[:limit])
