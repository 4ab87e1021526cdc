"""Orphaned actions: queued, but no registered pack can take them. Their pack was deleted, or never registered.

They are not deleted: a pack of their name and labels can still register. This module only reads.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection
from django.db.models import QuerySet

from flyte_site.db.postgresql.plans import index_order
from packs.models import Labels, Pack

# Limits of the groups that are read, of the groups that are reported, and of the actions that are counted in each.
MAX_GROUPS = 1000
MAX_REPORTED_GROUPS = 100
MAX_COUNTED = 1000
# With more names, all packs are read instead.
MAX_NAMES_IN_QUERY = 500

QueueKey = tuple[str, str]
"""The pack name and the labels key that queued actions require."""

# A loose index scan: one index lookup per distinct name and labels, however many actions are queued. Only the partial
# index of queued actions has this order: with `min()` PostgreSQL could read all finished actions of a name by another.
_QUEUE_KEYS_SQL = """
    WITH RECURSIVE names(pack, place) AS (
        SELECT (SELECT pack_name FROM packs_action WHERE is_queued ORDER BY pack_name, labels_key, ready_at LIMIT 1), 1
        UNION ALL
        SELECT (SELECT pack_name FROM packs_action WHERE is_queued AND pack_name > names.pack
                ORDER BY pack_name, labels_key, ready_at LIMIT 1), place + 1
        FROM names WHERE names.pack IS NOT NULL AND place < %s
    ),
    found(pack, labels, place) AS (
        SELECT pack, (SELECT labels_key FROM packs_action WHERE is_queued AND pack_name = names.pack
                      ORDER BY labels_key, ready_at LIMIT 1), 1
        FROM names WHERE names.pack IS NOT NULL
        UNION ALL
        SELECT pack, (SELECT labels_key FROM packs_action
                      WHERE is_queued AND pack_name = found.pack AND labels_key > found.labels
                      ORDER BY labels_key, ready_at LIMIT 1), place + 1
        FROM found WHERE found.labels IS NOT NULL AND place < %s
    )
    SELECT pack, labels FROM found WHERE labels IS NOT NULL LIMIT %s
"""

_GROUP_COUNTS_SQL = """
    WITH asked(pack, labels) AS (VALUES {groups})
    SELECT pack, labels,
        (SELECT count(*) FROM (
            SELECT 1 FROM packs_action WHERE is_queued AND pack_name = asked.pack AND labels_key = asked.labels
            ORDER BY ready_at LIMIT %s
        ) AS counted),
        (SELECT min(ready_at) FROM packs_action
         WHERE is_queued AND pack_name = asked.pack AND labels_key = asked.labels)
    FROM asked
"""


@dataclass(frozen=True)
class OrphanGroup:
    """Orphaned actions of one pack name and labels. `count` is at most MAX_COUNTED.

    `since` is the time from which the oldest of them could have been taken.
    """

    pack_name: str
    labels: Labels
    count: int
    since: datetime


@dataclass(frozen=True)
class OrphanReport:
    """All orphan groups, the oldest first; `is_truncated` if there were too many to read them all."""

    groups: list[OrphanGroup]
    is_truncated: bool

    @property
    def count(self) -> int:
        """Number of orphaned actions, a lower bound if `is_lower_bound`."""
        return sum(group.count for group in self.groups)

    @property
    def is_lower_bound(self) -> bool:
        """True if there can be more actions than `count`."""
        return self.is_truncated or any(group.count == MAX_COUNTED for group in self.groups)


def find_orphans(packs: "QuerySet[Pack] | None" = None) -> OrphanReport:
    """Find the queued actions that none of these packs can take; by default, of all registered packs. Three queries."""
    queue_keys = _find_queue_keys(MAX_GROUPS + 1)
    orphan_keys = sorted(filter_orphaned(queue_keys[:MAX_GROUPS], packs))
    return OrphanReport(
        _count_groups(orphan_keys[:MAX_REPORTED_GROUPS]),
        is_truncated=len(queue_keys) > MAX_GROUPS or len(orphan_keys) > MAX_REPORTED_GROUPS,
    )


def filter_orphaned(queue_keys: Iterable[QueueKey], packs: "QuerySet[Pack] | None" = None) -> set[QueueKey]:
    """Return the queue keys that no pack can take, by one query; by none if there are no keys."""
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


def _find_queue_keys(limit: int) -> list[QueueKey]:
    with index_order(), connection.cursor() as cursor:
        cursor.execute(_QUEUE_KEYS_SQL, [limit, limit, limit])
        return [(str(name), str(labels_key)) for name, labels_key in cursor.fetchall()]


def _count_groups(queue_keys: list[QueueKey]) -> list[OrphanGroup]:
    """Count the actions of each group and find the oldest; skip groups that have become empty."""
    if not queue_keys:
        return []
    values = ", ".join(["(%s, %s)"] * len(queue_keys))
    with index_order(), connection.cursor() as cursor:
        cursor.execute(
            _GROUP_COUNTS_SQL.format(groups=values),
            [*(part for queue_key in queue_keys for part in queue_key), MAX_COUNTED],
        )
        rows = cursor.fetchall()
    groups = [
        OrphanGroup(name, json.loads(labels_key), count, _parse_db_datetime(since))
        for name, labels_key, count, since in rows
        if count
    ]
    return sorted(groups, key=lambda group: group.since)


def _parse_db_datetime(value: datetime | str) -> datetime:
    """Convert a time from a raw cursor: SQLite returns a text, in UTC."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)
