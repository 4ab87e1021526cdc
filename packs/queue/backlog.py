"""Actions that wait though no registered pack could take them: their pack was deleted, or never came.

They are not dropped: a pack of their name and labels may register yet. Only reads.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection
from django.db.models import QuerySet

from flyte_site.db.postgresql.plans import index_order
from packs.models import Labels, Pack

# How many groups are looked at, how many are told of, and how many actions of each are counted, at most.
MAX_GROUPS = 1000
MAX_REPORTED_GROUPS = 100
MAX_COUNTED = 1000
# More names than that are not put into one query.
MAX_NAMES_IN_QUERY = 500

QueueKey = tuple[str, str]
"""A pack name and a label key: what actions that wait ask for."""

# One index lookup per different name and labels, however many actions are queued. The order is that of one partial
# index alone: with `min()` PostgreSQL could read all finished actions of a name by another index.
_QUEUE_KEYS_SQL = """
    WITH RECURSIVE names(pack, place) AS (
        SELECT (SELECT pack_name FROM packs_action WHERE waiting ORDER BY pack_name, label_key, ready_at LIMIT 1), 1
        UNION ALL
        SELECT (SELECT pack_name FROM packs_action WHERE waiting AND pack_name > names.pack
                ORDER BY pack_name, label_key, ready_at LIMIT 1), place + 1
        FROM names WHERE names.pack IS NOT NULL AND place < %s
    ),
    found(pack, labels, place) AS (
        SELECT pack, (SELECT label_key FROM packs_action WHERE waiting AND pack_name = names.pack
                      ORDER BY label_key, ready_at LIMIT 1), 1
        FROM names WHERE names.pack IS NOT NULL
        UNION ALL
        SELECT pack, (SELECT label_key FROM packs_action
                      WHERE waiting AND pack_name = found.pack AND label_key > found.labels
                      ORDER BY label_key, ready_at LIMIT 1), place + 1
        FROM found WHERE found.labels IS NOT NULL AND place < %s
    )
    SELECT pack, labels FROM found WHERE labels IS NOT NULL LIMIT %s
"""

_GROUP_COUNTS_SQL = """
    WITH asked(pack, labels) AS (VALUES {groups})
    SELECT pack, labels,
        (SELECT count(*) FROM (
            SELECT 1 FROM packs_action WHERE waiting AND pack_name = asked.pack AND label_key = asked.labels
            ORDER BY ready_at LIMIT %s
        ) AS counted),
        (SELECT min(ready_at) FROM packs_action WHERE waiting AND pack_name = asked.pack AND label_key = asked.labels)
    FROM asked
"""


@dataclass(frozen=True)
class OrphanGroup:
    """Actions that wait for a pack that is not there. Of more than MOST_COUNTED, `count` is MOST_COUNTED.

    `since` is when the oldest of them could first have been taken.
    """

    pack_name: str
    labels: Labels
    count: int
    since: datetime


@dataclass(frozen=True)
class OrphanReport:
    """All orphans, those that wait longest first; `more` where there were too many to look at each."""

    groups: list[OrphanGroup]
    is_truncated: bool

    @property
    def count(self) -> int:
        """How many actions that are, at least."""
        return sum(group.count for group in self.groups)

    @property
    def is_lower_bound(self) -> bool:
        """Whether there may be more actions than `count`."""
        return self.is_truncated or any(group.count == MAX_COUNTED for group in self.groups)


def find_orphans(packs: "QuerySet[Pack] | None" = None) -> OrphanReport:
    """What waits and could be taken by none of these packs; by default, of all that are registered. Three queries."""
    queue_keys = _find_queue_keys(MAX_GROUPS + 1)
    orphan_keys = sorted(filter_orphaned(queue_keys[:MAX_GROUPS], packs))
    return OrphanReport(
        _count_groups(orphan_keys[:MAX_REPORTED_GROUPS]),
        is_truncated=len(queue_keys) > MAX_GROUPS or len(orphan_keys) > MAX_REPORTED_GROUPS,
    )


def filter_orphaned(queue_keys: Iterable[QueueKey], packs: "QuerySet[Pack] | None" = None) -> set[QueueKey]:
    """Those of the groups that no registered pack could take: one query, none where there are no groups."""
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
    """How many actions each group has, and since when; without those that somebody has just emptied."""
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
    """A moment as the database gives it: SQLite's is a text, in UTC."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)
