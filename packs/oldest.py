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

from flyte_site.rows import parameters
from packs.models import Action, Pack, label_key

# A pack of more labels could serve too many kinds; then those that wait are looked up.
MOST_LABELS = 5
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
# How much earlier than what was taken last something may be that comes after it: its transaction took that long.
OVERLAP = timedelta(seconds=10)
# How often nothing is passed over: what an OVERLAP was too short for is found then.
WHOLE_SECONDS = 10.0
# So few leave nothing that would be felt.
TAKES_THAT_MATTER = 1000
MOST_KEPT = 10_000

# The labels that waiting actions of one pack name ask for: as many index look-ups as there are different ones,
# however many actions wait (a "loose index scan", which neither database does by itself).
_WAITING_LABEL_KEYS = """
    WITH RECURSIVE found(label_key) AS (
        SELECT min(label_key) FROM packs_action WHERE waiting AND pack_name = %s
        UNION ALL
        SELECT (SELECT min(label_key) FROM packs_action
                WHERE waiting AND pack_name = %s AND label_key > found.label_key)
        FROM found WHERE found.label_key IS NOT NULL
    )
    SELECT label_key FROM found WHERE label_key IS NOT NULL
"""
_OF_ONE_KIND = """SELECT id, ready_at FROM packs_action WHERE waiting AND pack_name = %s AND label_key = %s
    AND ready_at >= %s AND ready_at <= %s{names} ORDER BY ready_at, id LIMIT {limit}"""


@dataclass
class Front:
    """What is known of one kind: how often it was taken, and from when on the search is for all of it again."""

    takes: int = 0
    begin: datetime = LONG_AGO
    whole_at: float = 0.0

    def pass_over(self, until: datetime) -> None:
        """Everything before that time was taken, but for what an OVERLAP allows."""
        self.begin = until - OVERLAP
        if time.monotonic() >= self.whole_at:
            self.whole_at = time.monotonic() + WHOLE_SECONDS


class Passed:
    """Up to when everything of one kind was taken already, as far as this process knows.

    PostgreSQL keeps what was taken at the front of its index until that is vacuumed; each take would walk over it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fronts: dict[tuple[str, str], Front] = {}

    def begin(self, pack_name: str, key: str) -> datetime:
        """Where the search begins."""
        front = self._fronts.get((pack_name, key))
        return front.begin if front and time.monotonic() < front.whole_at else LONG_AGO

    def note(self, action: Action) -> None:
        """The oldest of its kind was this one."""
        with self._lock:
            if len(self._fronts) >= MOST_KEPT:
                self._fronts.clear()
            front = self._fronts.setdefault((action.pack_name, action.label_key), Front())
            front.takes += 1
            if front.takes < TAKES_THAT_MATTER:
                return
            front.pass_over(action.ready_at)

    def note_none(self, pack: Pack, now: datetime) -> None:
        """There was nothing that the pack may take."""
        if self._fronts:
            for key in serves(pack):
                front = self._fronts.get((pack.name, key))
                if front and front.takes >= TAKES_THAT_MATTER:
                    front.pass_over(now)

    def forget(self) -> None:
        """Know nothing, as a new process."""
        self._fronts.clear()


passed = Passed()


def oldest(pack: Pack, command_names: Sequence[str], now: datetime, limit: int) -> tuple[str, list[Any]] | None:
    """SQL, and its values, for `id` and `ready_at` of a few actions that the pack may take, of each kind the oldest.

    None where there can be none.
    """
    names = f" AND name IN ({', '.join(['%s'] * len(command_names))})" if command_names else ""
    one = _OF_ONE_KIND.format(names=names, limit=limit)
    keys = serves(pack)
    values = [[pack.name, key, passed.begin(pack.name, key), now, *command_names] for key in keys]
    if not keys:
        return None
    if len(keys) == 1:
        return one, values[0]
    kinds = " UNION ALL ".join(f"SELECT * FROM ({one}) AS kind{place}" for place in range(len(keys)))  # noqa: S608
    return kinds, [*chain.from_iterable(values)]


def waits(pack: Pack, command_names: Sequence[str], now: datetime) -> bool:
    """Whether there is something that the pack may take."""
    found = oldest(pack, command_names, now, 1)
    if found is None:
        return False
    sql, values = found
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({sql})", parameters(values, connection))
        return bool(cursor.fetchone()[0])


def serves(pack: Pack) -> list[str]:
    """The label keys of the actions that the pack may take: all that can be, or those that wait."""
    if len(pack.labels) > MOST_LABELS:
        return [key for key in _waiting_keys(pack.name) if pack.has_labels(json.loads(key))]
    items = sorted(pack.labels.items())
    chosen = chain.from_iterable(combinations(items, count) for count in range(len(items) + 1))
    return [label_key(dict(some)) for some in chosen]


def _waiting_keys(pack_name: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_LABEL_KEYS, [pack_name, pack_name])
        return [str(row[0]) for row in cursor.fetchall()]
