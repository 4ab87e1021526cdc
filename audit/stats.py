"""Figures for the home page, at a bounded cost: executions that ended recently, and queued and claimed actions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Max

from flows.models import ExecutionState
from flyte_site.db.postgresql.plans import index_order
from flyte_site.db.raw_sql import fetch_all, to_datetime
from packs.models import Pack
from packs.queue.index_scans import QUEUED_NAMES
from packs.queue.leases import count_claims

HOURS = 24
MAX_PER_HOUR = 50_000
MAX_QUEUED = 1_000
MAX_PACK_NAMES = 200
ENDED_STATES = (ExecutionState.SUCCEEDED, ExecutionState.FAILED, ExecutionState.CANCELLED)

# Of each hour only index entries, and a bounded number of them.
_HOUR_SQL = """
    SELECT %s AS hour, state, count(*) FROM
        (SELECT state FROM flows_execution WHERE ended_at >= %s AND ended_at < %s LIMIT %s) AS ended
    GROUP BY state
"""

_QUEUED_SQL = """
    SELECT %s AS pack, count(*), min(ready_at) FROM (
        SELECT ready_at FROM packs_action WHERE is_queued AND pack_name = %s ORDER BY labels_key, ready_at LIMIT %s
    ) AS part
"""


@dataclass(frozen=True)
class HourStats:
    """Executions that ended in the hour from `start`."""

    start: datetime
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return self.succeeded + self.failed + self.cancelled

    @property
    def is_truncated(self) -> bool:
        """Return True if there were more than are counted."""
        return self.total >= MAX_PER_HOUR


@dataclass(frozen=True)
class PackLoad:
    """Queued and claimed actions of packs with one name.

    `queued_since`: when the oldest could first be taken; `claimed_since`: when the oldest was taken; `last_seen`: the
    latest time that one of these packs was seen, None if none is registered.
    """

    pack_name: str
    queued: int = 0
    queued_since: datetime | None = None
    claimed: int = 0
    claimed_since: datetime | None = None
    last_seen: datetime | None = None

    @property
    def is_truncated(self) -> bool:
        """Return True if there are more than are counted."""
        return self.queued >= MAX_QUEUED


def count_ended_by_hour(now: datetime) -> list[HourStats]:
    """Count the executions of the last 24 hours by hour and final state, oldest first; the last hour is the current
    one.
    """
    newest = now.replace(minute=0, second=0, microsecond=0)
    starts = [newest - timedelta(hours=hours_ago) for hours_ago in range(HOURS - 1, -1, -1)]
    counts: list[dict[str, int]] = [{} for _ in starts]
    for index, state, count in fetch_all(" UNION ALL ".join([_HOUR_SQL] * HOURS), _hour_parameters(starts)):
        counts[index][state] = count
    return [
        HourStats(start, *(counts_by_state.get(state, 0) for state in ENDED_STATES))
        for start, counts_by_state in zip(starts, counts, strict=True)
    ]


def _hour_parameters(starts: Iterable[datetime]) -> list[Any]:
    adapt = connection.ops.adapt_datetimefield_value
    parameters: list[Any] = []
    for index, start in enumerate(starts):
        parameters += [index, adapt(start), adapt(start + timedelta(hours=1)), MAX_PER_HOUR]
    return parameters


def measure_pack_loads(max_queued: int = MAX_QUEUED) -> list[PackLoad]:
    """Measure queued and claimed actions by pack name, the longest-queued first. At most four queries.

    At most `max_queued` queued actions are counted per name.
    """
    queued = _count_queued(max_queued)
    claimed = count_claims("pack_name")
    names = sorted(queued.keys() | claimed.keys())
    last_seen, empty = _find_last_seen(names), (0, None)
    pack_loads = [
        PackLoad(name, *queued.get(name, empty), *claimed.get(name, empty), last_seen.get(name)) for name in names
    ]
    return sorted(pack_loads, key=_queue_time_sort_key)


def _count_queued(max_queued: int) -> dict[str, tuple[int, datetime | None]]:
    """Count queued actions by pack name, with the time when the first could be taken."""
    with index_order():
        names = [name for (name,) in QUEUED_NAMES.fetch(limit=MAX_PACK_NAMES)]
        if not names:
            return {}
        parameters = [value for name in names for value in (name, name, max_queued)]
        counted = fetch_all(" UNION ALL ".join([_QUEUED_SQL] * len(names)), parameters)
    return {name: (count, to_datetime(since)) for name, count, since in counted if count}


def _queue_time_sort_key(load: PackLoad) -> tuple[bool, datetime, str]:
    never = datetime.max.replace(tzinfo=UTC)
    return load.queued_since is None, load.queued_since or never, load.pack_name


def _find_last_seen(names: list[str]) -> dict[str, datetime]:
    registered = Pack.objects.filter(name__in=names).order_by()
    return dict(registered.values_list("name").annotate(seen=Max("last_seen")))
