"""The list of packs, a page at a time, each with its queued and claimed actions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from audit.queue_stats import ActionCount, count_claimed, filter_takeable, sum_groups
from flyte_site.db.keyset import fetch_page
from packs.models import Pack, status_filter
from packs.queue.backlog import find_queue_groups

PAGE_SIZE = 50
_SEPARATOR = re.compile(r"\s*[=:]\s*")


@dataclass(frozen=True)
class PackRow:
    """A pack, the queued actions that it could take, and those that it has claimed. `labels` are pairs."""

    pack: Pack
    labels: list[tuple[str, str]]
    queued: ActionCount
    claimed: ActionCount

    @property
    def event_names(self) -> list[str]:
        """Return the names of the declared events, followed by the result events of its commands."""
        result_events = [name for command in self.pack.commands for name in command.get("events") or ()]
        return list(dict.fromkeys([*(event["name"] for event in self.pack.events), *result_events]))


@dataclass(frozen=True)
class PackPage:
    """A page of packs; `before` and `after` are the identities at which the adjacent pages begin, '' for none."""

    rows: list[PackRow]
    before: str
    after: str


def list_pack_rows(
    filters: Mapping[str, str], before: str, after: str, now: datetime, *, with_loads: bool = True
) -> PackPage:
    """List the packs that match `text` and `status` in the order of their identities, after `after` or up to `before`.
    `with_loads`: include queued and claimed actions. Three queries.
    """
    page = fetch_page(_filter_packs(filters, now), "identity", PAGE_SIZE, after=after, before=before)
    return _build_page(page.rows, page.previous_key or "", page.next_key or "", with_loads=with_loads)


def _build_page(page_packs: list[Pack], before: str, after: str, *, with_loads: bool) -> PackPage:
    queue_groups = find_queue_groups({pack.name for pack in page_packs}) if with_loads else []
    claimed = count_claimed() if with_loads else {}
    rows = [
        PackRow(
            pack,
            sorted(pack.labels.items()),
            sum_groups(filter_takeable(pack, queue_groups)),
            claimed.get(pack.identity, ActionCount()),
        )
        for pack in page_packs
    ]
    return PackPage(rows, before, after)


def _filter_packs(filters: Mapping[str, str], now: datetime) -> "QuerySet[Pack, Any]":
    """Filter packs. A label, written as `env=prod` or `env: prod`, is searched for as it appears in an identity."""
    matching = Pack.objects.defer("links")
    if status := filters.get("status"):
        matching = matching.filter(status_filter(status, now))
    if text := filters.get("text", "").strip():
        matching = matching.filter(Q(identity__icontains=text) | Q(identity__icontains=_SEPARATOR.sub(".", text)))
    return matching
