"""What the first page shows: how many executions ended lately and how, and what waits for whom. At a bounded cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Max

from flows.models import ExecutionState
from flyte_site.postgresql.plans import index_order
from flyte_site.times import from_text
from packs.models import Action, Pack

HOURS = 24
MOST_AN_HOUR = 50_000
MOST_WAITING = 1_000
MOST_PACKS = 200
MOST_HELD = 2_000
ENDED = (ExecutionState.SUCCEEDED, ExecutionState.FAILED, ExecutionState.CANCELLED)

# Of each hour the entries of the index alone, and of those no more than a number.
_HOUR = """
    SELECT %s AS hour, state, count(*) FROM
        (SELECT state FROM flows_execution WHERE ended_at >= %s AND ended_at < %s LIMIT %s) AS ended
    GROUP BY state
"""

# Pack names for which something waits, one look-up each.
_AWAITED = """
    WITH RECURSIVE found(pack) AS (
        SELECT min(pack_name) FROM packs_action WHERE waiting
        UNION ALL
        SELECT (SELECT min(pack_name) FROM packs_action WHERE waiting AND pack_name > found.pack)
        FROM found WHERE found.pack IS NOT NULL
    )
    SELECT pack FROM found WHERE pack IS NOT NULL LIMIT %s
"""
_WAITING = """
    SELECT %s AS pack, count(*), min(ready_at) FROM (
        SELECT ready_at FROM packs_action WHERE waiting AND pack_name = %s ORDER BY label_key, ready_at LIMIT %s
    ) AS part
"""


@dataclass(frozen=True)
class Hour:
    """Executions that ended in the hour from `start`."""

    start: datetime
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return self.succeeded + self.failed + self.cancelled

    @property
    def cut(self) -> bool:
        """Whether there were more than are counted."""
        return self.total >= MOST_AN_HOUR


@dataclass(frozen=True)
class Load:
    """What waits for packs of one name, and what they have in hand.

    `waiting_since`: since when the one that waits longest could be taken; `held_since`: when the one held longest was
    taken; `last_seen`: when the last of these packs was seen, None where none is registered.
    """

    pack_name: str
    waiting: int = 0
    waiting_since: datetime | None = None
    held: int = 0
    held_since: datetime | None = None
    last_seen: datetime | None = None

    @property
    def cut(self) -> bool:
        """Whether there is more than is counted."""
        return self.waiting >= MOST_WAITING


def hours(now: datetime) -> list[Hour]:
    """How the executions of the last 24 hours ended, by the hour, oldest first; the last is the one that runs."""
    newest = now.replace(minute=0, second=0, microsecond=0)
    starts = [newest - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    counts: list[dict[str, int]] = [{} for _ in starts]
    for place, state, count in _rows(" UNION ALL ".join([_HOUR] * HOURS), _hour_parameters(starts)):
        counts[place][state] = count
    return [Hour(start, *(ended.get(state, 0) for state in ENDED)) for start, ended in zip(starts, counts, strict=True)]


def _hour_parameters(starts: Iterable[datetime]) -> list[Any]:
    adapt = connection.ops.adapt_datetimefield_value
    found: list[Any] = []
    for place, start in enumerate(starts):
        found += [place, adapt(start), adapt(start + timedelta(hours=1)), MOST_AN_HOUR]
    return found


def loads(most: int = MOST_WAITING) -> list[Load]:
    """What waits and what is held, by pack name; what waits longest first. Four queries at most.

    Of what waits for packs of one name `most` actions are counted.
    """
    waiting = _waiting(most)
    held = _held()
    names = sorted(waiting.keys() | held.keys())
    seen, nothing = _last_seen(names), (0, None)
    found = [Load(name, *waiting.get(name, nothing), *held.get(name, nothing), seen.get(name)) for name in names]
    return sorted(found, key=_longest_waiting)


def _waiting(most: int) -> dict[str, tuple[int, datetime | None]]:
    """How many actions wait for packs of a name, and since when the first of them could be taken."""
    names = [name for (name,) in _rows(_AWAITED, [MOST_PACKS])]
    if not names:
        return {}
    parameters = [value for name in names for value in (name, name, most)]
    with index_order():
        counted = _rows(" UNION ALL ".join([_WAITING] * len(names)), parameters)
    return {name: (count, _moment(since)) for name, count, since in counted if count}


def _longest_waiting(load: Load) -> tuple[bool, datetime, str]:
    never = datetime.max.replace(tzinfo=UTC)
    return load.waiting_since is None, load.waiting_since or never, load.pack_name


def _held() -> dict[str, tuple[int, datetime | None]]:
    """The number of actions held by packs of a name, and since when the oldest is; of those whose lease ends first."""
    taken = Action.objects.filter(lease_ends_at__isnull=False).order_by("lease_ends_at")[:MOST_HELD]
    since: dict[str, list[datetime]] = {}
    for name, states in taken.values_list("pack_name", "states"):
        since.setdefault(name, []).append(from_text(states[-1]["time"]))
    return {name: (len(times), min(times)) for name, times in since.items()}


def _last_seen(names: list[str]) -> dict[str, datetime]:
    registered = Pack.objects.filter(name__in=names).order_by()
    return dict(registered.values_list("name").annotate(seen=Max("last_seen")))


def _rows(sql: str, parameters: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _moment(value: datetime | str | None) -> datetime | None:
    """A time as a plain cursor gives it: SQLite keeps text, in UTC."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value).replace(tzinfo=UTC)
