"""What waits for packs of some names, by the labels that it asks for, and what each pack has in hand."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from flyte_site.postgresql.plans import index_order
from flyte_site.times import from_text
from packs.models import Action, Labels, Pack

# How many kinds of labels a name's actions are looked at for, and how many actions of each are counted.
MOST_KINDS = 200
MOST_COUNTED = 1_000
# Of what is held, those whose leases end first.
MOST_HELD = 2_000

# As many index look-ups as there are different names and labels, however much waits (see `packs.queue`).
_GROUPS = """
    WITH RECURSIVE asked(pack) AS (VALUES {names}),
    found(pack, labels, place) AS (
        SELECT pack, (SELECT min(label_key) FROM packs_action WHERE waiting AND pack_name = asked.pack), 1 FROM asked
        UNION ALL
        SELECT pack, (SELECT min(label_key) FROM packs_action
                      WHERE waiting AND pack_name = found.pack AND label_key > found.labels), place + 1
        FROM found WHERE found.labels IS NOT NULL AND place < %s
    )
    SELECT pack, labels,
        (SELECT count(*) FROM (
            SELECT 1 FROM packs_action WHERE waiting AND pack_name = found.pack AND label_key = found.labels
            ORDER BY ready_at LIMIT %s
        ) AS counted),
        (SELECT min(ready_at) FROM packs_action WHERE waiting AND pack_name = found.pack AND label_key = found.labels)
    FROM found WHERE labels IS NOT NULL
"""


@dataclass(frozen=True)
class Group:
    """Actions that wait for packs of a name with some labels; `since` is when the oldest could first be taken.

    Of more than MOST_COUNTED, `count` is MOST_COUNTED.
    """

    pack_name: str
    labels: Labels
    label_key: str
    count: int
    since: datetime


@dataclass(frozen=True)
class Amount:
    """How many actions, and since when the oldest of them; `cut` where there may be more."""

    count: int = 0
    since: datetime | None = None
    cut: bool = False


def groups(names: Collection[str]) -> list[Group]:
    """What waits for packs of these names. One query, none without names."""
    if not names:
        return []
    unique = sorted(set(names))
    with index_order(), connection.cursor() as cursor:
        statement = _GROUPS.format(names=", ".join(["(%s)"] * len(unique)))
        cursor.execute(statement, [*unique, MOST_KINDS, MOST_COUNTED])
        rows = cursor.fetchall()
    return [Group(name, json.loads(key), key, count, _moment(since)) for name, key, count, since in rows if count]


def takeable(pack: Pack, found: Iterable[Group]) -> list[Group]:
    """Those of the groups that the pack may take from, what waits longest first."""
    own = (group for group in found if group.pack_name == pack.name and pack.has_labels(group.labels))
    return sorted(own, key=lambda group: group.since)


def amount(found: Collection[Group]) -> Amount:
    """The sum of the groups."""
    if not found:
        return Amount()
    cut = any(group.count >= MOST_COUNTED for group in found)
    return Amount(sum(group.count for group in found), min(group.since for group in found), cut)


def held() -> dict[str, Amount]:
    """What each pack has in hand, by its identity, and since when. One query."""
    taken = _leased().values_list("holder", "states")[:MOST_HELD]
    since: dict[str, list[datetime]] = {}
    for holder, states in taken:
        since.setdefault(holder, []).append(from_text(states[-1]["time"]))
    cut = sum(map(len, since.values())) >= MOST_HELD
    return {holder: Amount(len(times), min(times), cut) for holder, times in since.items()}


def held_by(identity: str, most: int) -> list[Action]:
    """The actions that this pack has in hand, those first whose leases end first. Two queries at most."""
    ids = [key for key, holder in _leased().values_list("id", "holder")[:MOST_HELD] if holder == identity][:most]
    return _light(Action.objects.filter(id__in=ids).order_by("lease_ends_at")) if ids else []


def oldest(found: Iterable[Group], most: int) -> list[Action]:
    """The actions of these groups that wait longest. A query for each group, and one for what was found."""
    first: list[tuple[datetime, str]] = []
    for group in found:
        waiting = Action.objects.filter(waiting=True, pack_name=group.pack_name, label_key=group.label_key)
        first += waiting.order_by("ready_at", "id").values_list("ready_at", "id")[:most]
    ids = [key for _, key in sorted(first)[:most]]
    return _light(Action.objects.filter(id__in=ids).order_by("ready_at", "id")) if ids else []


def _light(actions: "QuerySet[Action]") -> list[Action]:
    return list(actions.defer("input", "context", "trigger", "history", "result"))


def _leased() -> "QuerySet[Action]":
    return Action.objects.filter(lease_ends_at__isnull=False).order_by("lease_ends_at")


def _moment(value: Any) -> datetime:
    """A moment as the database gives it: SQLite's is a text, in UTC."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)
