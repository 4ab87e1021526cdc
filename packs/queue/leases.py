"""Leases: the time for which an action belongs to the pack that took it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count, islice
from typing import Any, Literal

from django.conf import settings
from django.db.models import QuerySet

from flyte_site.core.clock import database_clock
from flyte_site.db.postgresql.plans import index_order
from flyte_site.db.raw_sql import fetch_all, to_datetime
from flyte_site.db.table_sql import Writes
from packs.models import Action, ActionState, Pack
from packs.queue.results import ResultStatus, finish_attempt
from packs.queue.retries import build_attempt_entry

MAX_COUNTED_CLAIMS = 2_000
"""Bound on the claimed actions that are counted, earliest lease expiry first."""

_CLAIM_COUNTS_SQL = """SELECT {column}, count(*), min(taken_at) FROM (
        SELECT {column}, taken_at FROM packs_action WHERE lease_ends_at IS NOT NULL ORDER BY lease_ends_at LIMIT %s
    ) AS claimed GROUP BY {column}"""


def lease_seconds(action: Action) -> int:
    """Return the length of the action's lease, and of each extension, in seconds."""
    return int(action.timeout or settings.FLYTE_ACTION_LEASE_SECONDS)


def compute_lease_expiry(action: Action, now: datetime) -> datetime:
    return now + timedelta(seconds=lease_seconds(action))


def extend_lease(action_id: str, pack: Pack, attempt: int) -> bool:
    """Restart the lease; return False if the action no longer belongs to this pack and attempt."""
    claimed = Action.objects.filter(id=action_id, state=ActionState.PENDING, claimed_by=pack.identity, attempt=attempt)
    action = claimed.first()
    return (
        action is not None and claimed.update(lease_ends_at=compute_lease_expiry(action, database_clock().now())) == 1
    )


def extend_leases(actions: "QuerySet[Action]", seconds: float) -> int:
    """Extend the leases of actions that the server itself runs, if less than half of `seconds` is left.

    Return the number of extended leases.
    """
    now = database_clock().now()
    expiring = actions.filter(state=ActionState.PENDING, lease_ends_at__lt=now + timedelta(seconds=seconds / 2))
    return expiring.update(lease_ends_at=now + timedelta(seconds=seconds))


def find_expired_leases(now: datetime, limit: int) -> list[str]:
    """Find the ids of taken actions whose lease has expired, earliest expiry first.

    A step forward of the database's clock is not counted: it must not end the leases of what is running.
    """
    expired = Action.objects.filter(lease_ends_at__lte=now).order_by("lease_ends_at").only("timeout", "lease_ends_at")
    return [action.id for action in islice(filter(is_lease_expired, _iter_pages(expired, limit)), limit)]


def _iter_pages(rows: "QuerySet[Action]", size: int) -> Iterator[Action]:
    """Iterate over the rows, reading `size` at a time."""
    for start in count(0, size):
        page = list(rows[start : start + size])
        yield from page
        if len(page) < size:
            return


def is_lease_expired(action: Action) -> bool:
    """Return True if an action is still claimed by a pack whose lease has expired."""
    ends_at = action.lease_ends_at
    return ends_at is not None and database_clock().has_passed(
        ends_at - timedelta(seconds=lease_seconds(action)), ends_at
    )


def expire_lease(writes: Writes, action: Action, result: dict[str, Any], now: datetime) -> ResultStatus:
    """End the attempt of a locked action whose lease has expired; `result` replaces the missing one."""
    action.attempt_log = [*action.attempt_log, {**build_attempt_entry(action, result, now), "leaseEnded": True}]
    return finish_attempt(writes, action, result, now)


def count_claims(column: Literal["claimed_by", "pack_name"]) -> dict[str, tuple[int, datetime | None]]:
    """Count the claimed actions by pack identity or pack name, with the time when the oldest was taken. One query.

    At most MAX_COUNTED_CLAIMS actions are counted.
    """
    with index_order():
        records = fetch_all(_CLAIM_COUNTS_SQL.format(column=column), [MAX_COUNTED_CLAIMS])
    return {key: (count, since and to_datetime(since)) for key, count, since in records}
