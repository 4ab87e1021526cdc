"""Actions that wait though no registered pack could take them: their pack was deleted, or never came.

They are not dropped: a pack of their name and labels may register yet. Only reads.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection
from django.db.models import QuerySet

from flyte_site.postgresql.plans import index_order
from packs.models import Labels, Pack

# How many groups are looked at, how many are told of, and how many actions of each are counted, at most.
MOST_GROUPS = 1000
MOST_TOLD = 100
MOST_COUNTED = 1000
# More names than that are not put into one query.
MOST_NAMES = 500

Group = tuple[str, str]
"""A pack name and a label key: what actions that wait ask for."""

# As many index look-ups as there are different names and labels, however much waits (see `packs.queue`).
_WAITING_GROUPS = """
    WITH RECURSIVE names(pack, place) AS (
        SELECT min(pack_name), 1 FROM packs_action WHERE waiting
        UNION ALL
        SELECT (SELECT min(pack_name) FROM packs_action WHERE waiting AND pack_name > names.pack), place + 1
        FROM names WHERE names.pack IS NOT NULL AND place < %s
    ),
    found(pack, labels, place) AS (
        SELECT pack, (SELECT min(label_key) FROM packs_action WHERE waiting AND pack_name = names.pack), 1
        FROM names WHERE names.pack IS NOT NULL
        UNION ALL
        SELECT pack, (SELECT min(label_key) FROM packs_action
                      WHERE waiting AND pack_name = found.pack AND label_key > found.labels), place + 1
        FROM found WHERE found.labels IS NOT NULL AND place < %s
    )
    SELECT pack, labels FROM found WHERE labels IS NOT NULL LIMIT %s
"""

_COUNTS = """
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
class Orphans:
    """Actions that wait for a pack that is not there. Of more than MOST_COUNTED, `count` is MOST_COUNTED.

    `since` is when the oldest of them could first have been taken.
    """

    pack_name: str
    labels: Labels
    count: int
    since: datetime


@dataclass(frozen=True)
class Orphaned:
    """All orphans, those that wait longest first; `more` where there were too many to look at each."""

    groups: list[Orphans]
    more: bool

    @property
    def count(self) -> int:
        """How many actions that are, at least."""
        return sum(group.count for group in self.groups)

    @property
    def bounded(self) -> bool:
        """Whether there may be more actions than `count`."""
        return self.more or any(group.count == MOST_COUNTED for group in self.groups)


def orphaned(packs: "QuerySet[Pack] | None" = None) -> Orphaned:
    """What waits and could be taken by none of these packs; by default, of all that are registered. Three queries."""
    groups = _waiting_groups(MOST_GROUPS + 1)
    lost = sorted(orphaned_among(groups[:MOST_GROUPS], packs))
    return Orphaned(_counted(lost[:MOST_TOLD]), more=len(groups) > MOST_GROUPS or len(lost) > MOST_TOLD)


def orphaned_among(groups: Iterable[Group], packs: "QuerySet[Pack] | None" = None) -> set[Group]:
    """Those of the groups that no registered pack could take: one query, none where there are no groups."""
    wanted: dict[str, dict[str, Labels]] = {}
    for name, key in groups:
        wanted.setdefault(name, {})[key] = json.loads(key)
    for pack in _named(Pack.objects.all() if packs is None else packs, list(wanted)) if wanted else ():
        keys = wanted.get(pack.name, {})
        for key in [key for key, labels in keys.items() if pack.has_labels(labels)]:
            del keys[key]
        if not any(wanted.values()):
            break
    return {(name, key) for name, keys in wanted.items() for key in keys}


def _named(packs: "QuerySet[Pack]", names: list[str]) -> Iterable[Pack]:
    named = packs.filter(name__in=names) if len(names) <= MOST_NAMES else packs
    return named.order_by().only("name", "labels").iterator()


def _waiting_groups(most: int) -> list[Group]:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_GROUPS, [most, most, most])
        return [(str(name), str(key)) for name, key in cursor.fetchall()]


def _counted(groups: list[Group]) -> list[Orphans]:
    """How many actions each group has, and since when; without those that somebody has just emptied."""
    if not groups:
        return []
    values = ", ".join(["(%s, %s)"] * len(groups))
    with index_order(), connection.cursor() as cursor:
        cursor.execute(_COUNTS.format(groups=values), [*(part for group in groups for part in group), MOST_COUNTED])
        rows = cursor.fetchall()
    found = [Orphans(name, json.loads(key), count, _moment(since)) for name, key, count, since in rows if count]
    return sorted(found, key=lambda orphans: orphans.since)


def _moment(value: datetime | str) -> datetime:
    """A moment as the database gives it: SQLite's is a text, in UTC."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)
