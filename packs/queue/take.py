"""Takes: a pack claims its next action, the oldest queued one of its name that requires no label that it lacks.

Candidates are found by the index of queued actions, with one lookup for each set of labels that the pack can serve. The
cost depends on the pack's labels, not on the length of the queue. The claim is one conditional UPDATE.
"""

import json
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from itertools import chain, combinations
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from flyte_site.core.clock import database_clock
from flyte_site.core.ids import min_id_at
from flyte_site.core.observability import request_ids, tracing
from flyte_site.core.observability.metrics import count_actions
from flyte_site.core.runtime import process_wide
from flyte_site.db.table_sql import TableSQL, to_parameters
from packs.models import Action, ActionState, Pack, build_labels_key
from packs.queue.action_queue import ACTION_TABLE, build_state_entry
from packs.queue.action_secrets import unreadable_reason
from packs.queue.index_scans import QUEUED_KEYS
from packs.queue.leases import compute_lease_expiry

log = structlog.get_logger(__name__)

# Without the large columns that no caller reads.
TAKE_COLUMNS = TableSQL(Action, excluded=("context", "trigger", "attempt_log", "result"))
# More than one, since other takers can have locked some.
CANDIDATES_PER_LABELS = 3
# A pack with more labels can serve too many sets of them; then the sets that queued actions require are looked up.
MAX_LABELS_TO_COMBINE = 5
MAX_CACHED_LABELS = 1024
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A commit can make an action visible this much later than its `ready_at`, after younger ones were taken.
WATERMARK_OVERLAP = timedelta(seconds=10)
# A full scan finds actions whose transaction took longer than the overlap.
FULL_SCAN_INTERVAL_SECONDS = 10.0
# Fewer takes leave too few dead index entries to matter.
MIN_TAKES_FOR_WATERMARK = 1000
MAX_WATERMARKS = 10_000

_CANDIDATES_FOR_LABELS_SQL = """SELECT id, ready_at FROM packs_action
    WHERE is_queued AND pack_name = %s AND labels_key = %s AND ready_at >= %s AND ready_at <= %s{names}
    ORDER BY ready_at, id LIMIT {limit}"""
# First attempts that were queued in the future, by a machine whose clock is ahead or before the clock was set back. The
# ids of actions begin with the time, so one look-up finds out if any exist; its order leaves only one index.
_FUTURE_CANDIDATES_SQL = """SELECT id, ready_at FROM packs_action
    WHERE is_queued AND pack_name = %s AND labels_key IN ({keys}) AND ready_at > %s AND attempt = 0{names}
        AND (SELECT pack_name FROM packs_action WHERE (pack_name, id) >= (%s, %s) ORDER BY pack_name, id LIMIT 1) = %s
    ORDER BY ready_at, id LIMIT {limit}"""
# PostgreSQL: find and claim in one statement; skip rows that other takers have locked. Candidates are looked up one by
# one: for a join PostgreSQL can read the whole table under a generic plan or without statistics.
_TAKE_SQL = """WITH candidate AS MATERIALIZED (SELECT id FROM ({oldest}) AS kinds ORDER BY ready_at, id),
    found AS MATERIALIZED (
        SELECT own.id AS found_id FROM candidate CROSS JOIN LATERAL (
            SELECT action.id FROM packs_action AS action
            WHERE action.id = candidate.id AND action.is_queued AND (action.attempt = 0 OR action.ready_at <= %s)
            FOR UPDATE SKIP LOCKED) AS own
        LIMIT 1)
    UPDATE packs_action SET state = %s, is_queued = false, claimed_by = %s, attempt = attempt + 1,
        state_log = left(state_log, -1) || %s
            || to_char({taken_at} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS') || 'Z"}}]',
        taken_at = {taken_at},
        lease_ends_at = %s + coalesce(timeout, %s) * interval '1 second'
    FROM found WHERE id = found_id
    RETURNING {columns}"""
# Not before the action was queued: this process can have read its clock before that.
_TAKEN_AT_SQL = "greatest(%s::timestamptz, CASE WHEN attempt = 0 THEN ready_at END)"


@dataclass
class Watermark:
    """Scan position in the queue of one pack name and labels.

    `takes` counts the takes from it. Until `full_scan_at` (monotonic seconds) scans begin at `scan_start`.
    """

    takes: int = 0
    scan_start: datetime = EPOCH
    full_scan_at: float = 0.0

    def advance(self, until: datetime) -> None:
        """Move the scan start to `WATERMARK_OVERLAP` before `until`, the time up to which all was taken."""
        self.scan_start = until - WATERMARK_OVERLAP
        if time.monotonic() >= self.full_scan_at:
            self.full_scan_at = time.monotonic() + FULL_SCAN_INTERVAL_SECONDS


class ScanWatermarks:
    """Times up to which this process has seen every action of a pack name and labels taken.

    PostgreSQL keeps dead entries at the front of its index until they are vacuumed; each take would scan over them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watermarks: dict[tuple[str, str], Watermark] = {}

    def get_scan_start(self, pack_name: str, labels_key: str) -> datetime:
        """Return the `ready_at` at which to begin a scan."""
        watermark = self._watermarks.get((pack_name, labels_key))
        return watermark.scan_start if watermark and time.monotonic() < watermark.full_scan_at else EPOCH

    def record_take(self, action: Action) -> None:
        """Note that this action was the oldest of its pack name and labels."""
        with self._lock:
            if len(self._watermarks) >= MAX_WATERMARKS:
                self._watermarks.clear()
            watermark = self._watermarks.setdefault((action.pack_name, action.labels_key), Watermark())
            watermark.takes += 1
            if watermark.takes < MIN_TAKES_FOR_WATERMARK:
                return
            watermark.advance(min(action.ready_at, timezone.now()))

    def record_empty_take(self, pack: Pack, now: datetime) -> None:
        """Note that there was no action that the pack can take."""
        if self._watermarks:
            for labels_key in matching_labels_keys(pack):
                watermark = self._watermarks.get((pack.name, labels_key))
                if watermark and watermark.takes >= MIN_TAKES_FOR_WATERMARK:
                    watermark.advance(now)


@process_wide
def scan_watermarks() -> ScanWatermarks:
    return ScanWatermarks()


def take(pack: Pack, command_names: Iterable[str] = ()) -> Action | None:
    """Claim the oldest queued action that `pack` can take, or return None. No two callers get the same attempt.

    With `command_names`, only actions of these commands are candidates.
    """
    names = sorted(set(command_names))
    claim = _claim_skip_locked if connection.features.has_select_for_update_skip_locked else _claim_in_transaction
    uses_watermarks = connection.vendor == "postgresql" and not names
    while action := claim(pack, names):
        transaction.on_commit(partial(count_actions, [action.pack_name], ActionState.PENDING.value), robust=True)
        if uses_watermarks:
            scan_watermarks().record_take(action)
        if action.secrets is None or not _fail_if_unreadable(action):
            _continue_trace(action)
            return action
    if uses_watermarks:
        scan_watermarks().record_empty_take(pack, timezone.now())
    return None


def _claim_skip_locked(pack: Pack, command_names: list[str]) -> Action | None:
    """Find and claim in one statement."""
    now, database_now = timezone.now(), database_clock().now()
    candidates = candidate_sql(pack, command_names, database_now, CANDIDATES_PER_LABELS)
    if candidates is None:
        return None
    sql, values = candidates
    state_entry_start = f',{{"value":"{ActionState.PENDING.value}","time":"'
    lease = [database_now, settings.FLYTE_ACTION_LEASE_SECONDS]
    claim_values = [ActionState.PENDING.value, pack.identity, state_entry_start, now, now, *lease]
    statement = _TAKE_SQL.format(oldest=sql, columns=TAKE_COLUMNS.columns, taken_at=_TAKEN_AT_SQL)
    return next(iter(TAKE_COLUMNS.fetch(statement, [*values, database_now, *claim_values])), None)


def _claim_in_transaction(pack: Pack, command_names: list[str]) -> Action | None:
    """Find and claim in one transaction, during which SQLite lets no other connection write.

    The search is repeated in the transaction: until it gets the write lock, other takers claim what was ready.
    """
    if not has_candidate(pack, command_names, database_clock().now()):
        return None
    with transaction.atomic():
        while candidates := candidate_sql(pack, command_names, database_clock().now(), 1):
            sql, values = candidates
            candidate_ids_sql = f"SELECT id FROM ({sql}) AS kinds"  # noqa: S608 - built from constants
            action = TAKE_COLUMNS.select_first(
                f"is_queued AND id IN ({candidate_ids_sql}) ORDER BY ready_at, id LIMIT 1", *values
            )
            if action is None or _claim_action(action, pack):
                return action
    return None


def _continue_trace(action: Action) -> None:
    """Resume the request id and the trace of the action's cause; the taker's spans become children of the take."""
    request_ids.resume(action.request_id)
    span_attributes = {
        "pack": action.claimed_by,
        "command": action.name,
        "action": action.id,
        "execution": action.correlation_id,
    }
    with tracing.start_span("take", action.traceparent, **span_attributes):
        action.traceparent = tracing.get_traceparent()


def _fail_if_unreadable(action: Action) -> bool:
    """End the lease of a claimed action if its secrets can't be read; return True if so.

    The expired lease ends the attempt.
    """
    reason = unreadable_reason(action)
    if reason:
        log.error("secrets_unreadable", action=action.id, reason=reason)
        claimed = Action.objects.filter(id=action.id, state=ActionState.PENDING, attempt=action.attempt)
        claimed.update(lease_ends_at=database_clock().now())
    return bool(reason)


def _claim_action(action: Action, pack: Pack) -> bool:
    """Claim the action; return False if another taker was first.

    The attempt is part of the condition: since the action was read, it can have been taken, have failed, and be queued
    again for a later attempt.
    """
    now, database_now, attempt = timezone.now(), database_clock().now(), action.attempt
    if attempt == 0:
        now = max(now, action.ready_at)
    action.state, action.is_queued, action.claimed_by = ActionState.PENDING, False, pack.identity
    action.state_log = [*action.state_log, build_state_entry(ActionState.PENDING, now)]
    action.attempt += 1
    action.taken_at = now
    action.lease_ends_at = compute_lease_expiry(action, database_now)
    changed_fields = ("state", "is_queued", "claimed_by", "state_log", "attempt", "taken_at", "lease_ends_at")
    return ACTION_TABLE.update_if(
        "is_queued AND attempt = %s AND (attempt = 0 OR ready_at <= %s)",
        (attempt, database_now),
        action,
        *changed_fields,
    )


def candidate_sql(pack: Pack, command_names: Sequence[str], now: datetime, limit: int) -> tuple[str, list[Any]] | None:
    """Build a query, and its values, for `id` and `ready_at` of the `limit` oldest actions of each set of labels.

    None if there can be no action for the pack.
    """
    name_filter = f" AND name IN ({', '.join(['%s'] * len(command_names))})" if command_names else ""
    select = _CANDIDATES_FOR_LABELS_SQL.format(names=name_filter, limit=limit)
    labels_keys = matching_labels_keys(pack)
    values = [
        [pack.name, labels_key, scan_watermarks().get_scan_start(pack.name, labels_key), now, *command_names]
        for labels_key in labels_keys
    ]
    if not labels_keys:
        return None
    future_select = _FUTURE_CANDIDATES_SQL.format(
        keys=", ".join(["%s"] * len(labels_keys)), names=name_filter, limit=limit
    )
    future_values = [pack.name, *labels_keys, now, *command_names, pack.name, min_id_at(now), pack.name]
    selects = [*[select] * len(labels_keys), future_select]
    union = " UNION ALL ".join(f"SELECT * FROM ({each}) AS kind{index}" for index, each in enumerate(selects))  # noqa: S608
    return union, [*chain.from_iterable(values), *future_values]


def has_candidate(pack: Pack, command_names: Sequence[str], now: datetime) -> bool:
    """Return True if there is an action that the pack can take."""
    candidates = candidate_sql(pack, command_names, now, 1)
    if candidates is None:
        return False
    sql, values = candidates
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({sql})", to_parameters(values, connection))
        return bool(cursor.fetchone()[0])


def matching_labels_keys(pack: Pack) -> list[str]:
    """List the labels keys of the actions that the pack can take: all possible ones, or only those in the queue."""
    if len(pack.labels) > MAX_LABELS_TO_COMBINE:
        return [key for _, key in QUEUED_KEYS.fetch(first_values=[pack.name]) if pack.has_labels(json.loads(key))]
    return _combine_labels(tuple(sorted(pack.labels.items())))


@lru_cache(maxsize=MAX_CACHED_LABELS)
def _combine_labels(labels: Sequence[tuple[str, str]]) -> list[str]:
    """List the labels keys of all sets of these labels."""
    subsets = chain.from_iterable(combinations(labels, size) for size in range(len(labels) + 1))
    return [build_labels_key(dict(subset)) for subset in subsets]
