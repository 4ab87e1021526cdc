"""Queued actions of packs by label set, and the actions that each pack has claimed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from flyte_site.db.postgresql.plans import index_order
from packs.models import Action, Pack
from packs.queue.backlog import MAX_COUNTED, QueueGroup
from packs.queue.leases import MAX_COUNTED_CLAIMS, count_claims


@dataclass(frozen=True)
class ActionCount:
    """A number of actions and the time of the oldest; `is_truncated` if there may be more."""

    count: int = 0
    since: datetime | None = None
    is_truncated: bool = False


def filter_takeable(pack: Pack, queue_groups: Iterable[QueueGroup]) -> list[QueueGroup]:
    """Filter the groups that the pack may take from, the longest-queued first."""
    takeable_groups = (
        group for group in queue_groups if group.pack_name == pack.name and pack.has_labels(group.labels)
    )
    return sorted(takeable_groups, key=lambda group: group.since)


def sum_groups(queue_groups: Collection[QueueGroup]) -> ActionCount:
    """Sum the groups."""
    if not queue_groups:
        return ActionCount()
    is_truncated = any(group.count >= MAX_COUNTED for group in queue_groups)
    return ActionCount(
        sum(group.count for group in queue_groups), min(group.since for group in queue_groups), is_truncated
    )


def count_claimed() -> dict[str, ActionCount]:
    """Count the claimed actions of each pack by its identity, with the time of the oldest. One query."""
    claims = count_claims("claimed_by")
    is_truncated = sum(count for count, _ in claims.values()) >= MAX_COUNTED_CLAIMS
    return {claimed_by: ActionCount(count, since, is_truncated) for claimed_by, (count, since) in claims.items()}


def find_claimed_actions(identity: str, limit: int) -> list[Action]:
    """Find the actions that this pack has claimed, the earliest lease expiry first. At most two queries."""
    leased = Action.objects.filter(lease_ends_at__isnull=False).order_by("lease_ends_at")
    with index_order():
        claims = list(leased.values_list("id", "claimed_by")[:MAX_COUNTED_CLAIMS])
    ids = [key for key, claimed_by in claims if claimed_by == identity][:limit]
    return _load_without_documents(Action.objects.filter(id__in=ids).order_by("lease_ends_at")) if ids else []


def find_oldest_actions(queue_groups: Iterable[QueueGroup], limit: int) -> list[Action]:
    """Find the oldest actions of these groups. One query per group, and one for the actions."""
    oldest_keys: list[tuple[datetime, str]] = []
    for group in queue_groups:
        queued = Action.objects.filter(is_queued=True, pack_name=group.pack_name, labels_key=group.labels_key)
        oldest_keys += queued.order_by("ready_at", "id").values_list("ready_at", "id")[:limit]
    ids = [key for _, key in sorted(oldest_keys)[:limit]]
    return _load_without_documents(Action.objects.filter(id__in=ids).order_by("ready_at", "id")) if ids else []


def _load_without_documents(actions: "QuerySet[Action]") -> list[Action]:
    return list(actions.defer("input", "context", "trigger", "attempt_log", "result"))
