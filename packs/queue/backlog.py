"""The backlog: queued actions by pack name and labels, and those of them that no registered pack could take.

Orphaned actions are kept: a pack with their name and labels may still register. Reads only.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from flyte_site.db.postgresql.plans import index_order
from flyte_site.db.raw_sql import fetch_all, placeholders, to_datetime
from packs.models import Labels, Pack
from packs.queue.index_scans import QUEUED_KEYS

# Bounds on groups of orphaned actions: searched, and reported.
MAX_GROUPS = 1000
MAX_REPORTED_GROUPS = 100
# Bounds on label sets per pack name, and on counted actions per group.
MAX_LABELS_KEYS = 200
MAX_COUNTED = 1000
# With more names, all packs are read.
MAX_NAMES_IN_QUERY = 500

QueueKey = tuple[str, str]
"""A pack name and a labels key, as queued actions ask for them."""

_COUNT_KEYS_SQL = """
    SELECT pack_name, labels_key,
        (SELECT count(*) FROM (
            SELECT 1 FROM packs_action WHERE is_queued AND pack_name = keys.pack_name AND labels_key = keys.labels_key
            ORDER BY ready_at LIMIT %s
        ) AS counted),
        (SELECT ready_at FROM packs_action
         WHERE is_queued AND pack_name = keys.pack_name AND labels_key = keys.labels_key ORDER BY ready_at LIMIT 1)
    FROM keys
"""


@dataclass(frozen=True)
class QueueGroup:
    """Queued actions with the same pack name and labels. `since`: when the oldest could first be taken.

    `count` stops at MAX_COUNTED.
    """

    pack_name: str
    labels: Labels
    labels_key: str
    count: int
    since: datetime


@dataclass(frozen=True)
class OrphanReport:
    """Orphaned actions, the longest-queued first; `is_truncated` if there were too many groups to report all."""

    groups: list[QueueGroup]
    is_truncated: bool

    @property
    def count(self) -> int:
        """Return the number of orphaned actions, or a lower bound."""
        return sum(group.count for group in self.groups)

    @property
    def is_lower_bound(self) -> bool:
        """Return True if there may be more actions than `count`."""
        return self.is_truncated or any(group.count == MAX_COUNTED for group in self.groups)


def find_orphans(packs: "QuerySet[Pack] | None" = None) -> OrphanReport:
    """Find the queued actions that none of these packs could take; by default, no registered pack. Three queries."""
    with index_order():
        rows = QUEUED_KEYS.fetch(limit=MAX_GROUPS + 1)
    queue_keys: list[QueueKey] = [(name, labels_key) for name, labels_key in rows]
    orphan_keys = sorted(filter_orphaned(queue_keys[:MAX_GROUPS], packs))
    return OrphanReport(
        _count_groups(orphan_keys[:MAX_REPORTED_GROUPS]),
        is_truncated=len(queue_keys) > MAX_GROUPS or len(orphan_keys) > MAX_REPORTED_GROUPS,
    )


def filter_orphaned(queue_keys: Iterable[QueueKey], packs: "QuerySet[Pack] | None" = None) -> set[QueueKey]:
    """Filter the keys that no registered pack could take. One query; none without keys."""
    labels_by_name: dict[str, dict[str, Labels]] = {}
    for name, labels_key in queue_keys:
        labels_by_name.setdefault(name, {})[labels_key] = json.loads(labels_key)
    for pack in (
        _iter_packs_by_name(Pack.objects.all() if packs is None else packs, list(labels_by_name))
        if labels_by_name
        else ()
    ):
        unserved = labels_by_name.get(pack.name, {})
        for labels_key in [labels_key for labels_key, labels in unserved.items() if pack.has_labels(labels)]:
            del unserved[labels_key]
        if not any(labels_by_name.values()):
            break
    return {(name, labels_key) for name, unserved in labels_by_name.items() for labels_key in unserved}


def _iter_packs_by_name(packs: "QuerySet[Pack]", names: list[str]) -> Iterable[Pack]:
    matching = packs.filter(name__in=names) if len(names) <= MAX_NAMES_IN_QUERY else packs
    return matching.order_by().only("name", "labels").iterator()


def find_queue_groups(names: Collection[str]) -> list[QueueGroup]:
    """Find the queue groups of packs with these names. One query; none without names."""
    if not names:
        return []
    with index_order():
        rows = QUEUED_KEYS.fetch(
            first_values=sorted(set(names)), limit=MAX_LABELS_KEYS, select=_COUNT_KEYS_SQL, select_values=[MAX_COUNTED]
        )
    return _build_groups(rows)


def _count_groups(queue_keys: list[QueueKey]) -> list[QueueGroup]:
    """Count the actions of each group, the longest-queued first; omit groups that have become empty."""
    if not queue_keys:
        return []
    values = [value for queue_key in queue_keys for value in queue_key]
    statement = f"WITH keys(pack_name, labels_key) AS (VALUES {placeholders(len(queue_keys), 2)}) {_COUNT_KEYS_SQL}"
    with index_order():
        rows = fetch_all(statement, [*values, MAX_COUNTED])
    return sorted(_build_groups(rows), key=lambda group: group.since)


def _build_groups(rows: Iterable[Sequence[Any]]) -> list[QueueGroup]:
    return [
        QueueGroup(name, json.loads(labels_key), labels_key, count, to_datetime(since))
        for name, labels_key, count, since in rows
        if count
    ]
