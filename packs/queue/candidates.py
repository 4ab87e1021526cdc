"""Which action a pack may take next: the oldest that waits for its name and asks for no label that it lacks.

Found by the index of what waits, one look-up for each kind of labels that the pack can serve: the cost follows from the
pack's labels, not from what waits.
"""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, combinations
from typing import Any

from django.db import connection

from flyte_site.db.table_sql import to_parameters
from packs.models import Action, Pack, build_labels_key

# A pack of more labels could serve too many kinds; then those that wait are looked up.
MAX_LABELS_TO_COMBINE = 5
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How much earlier than what was taken last something may be that comes after it: its transaction took that long.
WATERMARK_OVERLAP = timedelta(seconds=10)
# How often nothing is passed over: what an OVERLAP was too short for is found then.
FULL_SCAN_INTERVAL_SECONDS = 10.0
# So few leave nothing that would be felt.
MIN_TAKES_FOR_WATERMARK = 1000
MAX_WATERMARKS = 10_000

# The labels that waiting actions of one pack name ask for: as many index look-ups as there are different ones,
# however many actions wait (a "loose index scan", which neither database does by itself).
_QUEUED_LABELS_KEYS_SQL = """
    WITH RECURSIVE found(label_key) AS (
        SELECT min(label_key) FROM packs_action WHERE waiting AND pack_name = %s
        UNION ALL
        SELECT (SELECT min(label_key) FROM packs_action
                WHERE waiting AND pack_name = %s AND label_key > found.label_key)
        FROM found WHERE found.label_key IS NOT NULL
    )
    SELECT label_key FROM found WHERE label_key IS NOT NULL
"""
_CANDIDATES_FOR_LABELS_SQL = """SELECT id, ready_at FROM packs_action
    WHERE waiting AND pack_name = %s AND label_key = %s AND ready_at >= %s AND ready_at <= %s{names}
    ORDER BY ready_at, id LIMIT {limit}"""


@dataclass
class Watermark:
    """What is known of one kind: how often it was taken, and from when on the search is for all of it again."""

    takes: int = 0
    scan_start: datetime = EPOCH
    full_scan_at: float = 0.0

    def advance(self, until: datetime) -> None:
        """Everything before that time was taken, but for what an OVERLAP allows."""
        self.scan_start = until - WATERMARK_OVERLAP
        if time.monotonic() >= self.full_scan_at:
            self.full_scan_at = time.monotonic() + FULL_SCAN_INTERVAL_SECONDS


class ScanWatermarks:
    """Up to when everything of one kind was taken already, as far as this process knows.

    PostgreSQL keeps what was taken at the front of its index until that is vacuumed; each take would walk over it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watermarks: dict[tuple[str, str], Watermark] = {}

    def get_scan_start(self, pack_name: str, labels_key: str) -> datetime:
        """Where the search begins."""
        watermark = self._watermarks.get((pack_name, labels_key))
        return watermark.scan_start if watermark and time.monotonic() < watermark.full_scan_at else EPOCH

    def record_take(self, action: Action) -> None:
        """The oldest of its kind was this one."""
        with self._lock:
            if len(self._watermarks) >= MAX_WATERMARKS:
                self._watermarks.clear()
            watermark = self._watermarks.setdefault((action.pack_name, action.label_key), Watermark())
            watermark.takes += 1
            if watermark.takes < MIN_TAKES_FOR_WATERMARK:
                return
            watermark.advance(action.ready_at)

    def record_empty_take(self, pack: Pack, now: datetime) -> None:
        """There was nothing that the pack may take."""
        if self._watermarks:
            for labels_key in matching_labels_keys(pack):
                watermark = self._watermarks.get((pack.name, labels_key))
                if watermark and watermark.takes >= MIN_TAKES_FOR_WATERMARK:
                    watermark.advance(now)

    def reset(self) -> None:
        """Know nothing, as a new process."""
        self._watermarks.clear()


scan_watermarks = ScanWatermarks()


def candidate_sql(pack: Pack, command_names: Sequence[str], now: datetime, limit: int) -> tuple[str, list[Any]] | None:
    """SQL, and its values, for `id` and `ready_at` of a few actions that the pack may take, of each kind the oldest.

    None where there can be none.
    """
    name_filter = f" AND name IN ({', '.join(['%s'] * len(command_names))})" if command_names else ""
    select = _CANDIDATES_FOR_LABELS_SQL.format(names=name_filter, limit=limit)
    labels_keys = matching_labels_keys(pack)
    values = [
        [pack.name, labels_key, scan_watermarks.get_scan_start(pack.name, labels_key), now, *command_names]
        for labels_key in labels_keys
    ]
    if not labels_keys:
        return None
    if len(labels_keys) == 1:
        return select, values[0]
    union = " UNION ALL ".join(f"SELECT * FROM ({select}) AS kind{index}" for index in range(len(labels_keys)))  # noqa: S608
    return union, [*chain.from_iterable(values)]


def has_candidate(pack: Pack, command_names: Sequence[str], now: datetime) -> bool:
    """Whether there is something that the pack may take."""
    candidates = candidate_sql(pack, command_names, now, 1)
    if candidates is None:
        return False
    sql, values = candidates
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({sql})", to_parameters(values, connection))
        return bool(cursor.fetchone()[0])


def matching_labels_keys(pack: Pack) -> list[str]:
    """The label keys of the actions that the pack may take: all that can be, or those that wait."""
    if len(pack.labels) > MAX_LABELS_TO_COMBINE:
        return [key for key in _find_queued_labels_keys(pack.name) if pack.has_labels(json.loads(key))]
    items = sorted(pack.labels.items())
    subsets = chain.from_iterable(combinations(items, size) for size in range(len(items) + 1))
    return [build_labels_key(dict(subset)) for subset in subsets]


def _find_queued_labels_keys(pack_name: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_QUEUED_LABELS_KEYS_SQL, [pack_name, pack_name])
        return [str(row[0]) for row in cursor.fetchall()]
