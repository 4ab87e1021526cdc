"""A pack's page: its declaration, its queue, and its recent events."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from audit.queue_stats import (
    ActionCount,
    filter_takeable,
    find_claimed_actions,
    find_oldest_actions,
    sum_groups,
)
from flows.models import Event
from flyte_site.db.loose_index_scan import LooseIndexScan
from flyte_site.db.raw_sql import fetch_all
from packs.models import Action, Pack
from packs.queue.backlog import QueueGroup, filter_orphaned, find_queue_groups

MAX_ACTIONS = 50
MAX_OLDEST = 10
# Bounds on label sets with listed actions, and on listed names.
MAX_GROUPS = 20
MAX_NAMES = 200
MAX_EVENTS = 10

_EVENT_NAMES = LooseIndexScan("flows_event", ("name",), ("id",), where="pack_identity = %s")
_NEWEST_EVENTS_SQL = """
    SELECT id FROM (
        SELECT id FROM flows_event WHERE pack_identity = %s AND name = %s ORDER BY id DESC LIMIT %s
    ) AS part
"""


@dataclass(frozen=True)
class HelpLink:
    """A link that a pack declared. `href` is set only for http and https addresses; otherwise it is empty."""

    rel: str
    text: str
    href: str


@dataclass(frozen=True)
class PackQueue:
    """A pack's queue: the number of queued actions, those that no other pack could take, the oldest, and the claimed
    ones.
    """

    queued: ActionCount
    exclusive: ActionCount
    oldest: list[Action]
    claimed: list[Action]


def build_pack_queue(pack: Pack) -> PackQueue:
    """Load the pack's queue. At most 24 queries, of which 20 for as many label sets."""
    takeable_groups = filter_takeable(pack, find_queue_groups([pack.name]))
    orphaned_keys = filter_orphaned(
        [(group.pack_name, group.labels_key) for group in takeable_groups], Pack.objects.exclude(pk=pack.pk)
    )
    exclusive_groups = [group for group in takeable_groups if (group.pack_name, group.labels_key) in orphaned_keys]
    return PackQueue(
        sum_groups(takeable_groups),
        sum_groups(exclusive_groups),
        _find_oldest_actions(takeable_groups),
        find_claimed_actions(pack.identity, MAX_ACTIONS),
    )


def _find_oldest_actions(queue_groups: Collection[QueueGroup]) -> list[Action]:
    return find_oldest_actions(list(queue_groups)[:MAX_GROUPS], MAX_OLDEST)


def list_commands(pack: Pack) -> list[tuple[str, list[str]]]:
    """Return at most MAX_NAMES commands with their possible result events."""
    return [(command["name"], (command.get("events") or [])[:MAX_NAMES]) for command in pack.commands[:MAX_NAMES]]


def list_declared_events(pack: Pack) -> list[tuple[str, list[HelpLink]]]:
    """Return at most MAX_NAMES declared events with their help links."""
    return [(event["name"], build_help_links(event.get("links") or ())) for event in pack.events[:MAX_NAMES]]


def build_help_links(links: Iterable[Mapping[str, str]]) -> list[HelpLink]:
    """Build links for people. A pack may declare anything: only http and https addresses become links."""
    help_links = []
    for link in list(links)[:MAX_NAMES]:
        href, rel = str(link.get("href", "")), str(link.get("rel", ""))
        help_links.append(HelpLink(rel, href, href if is_web_url(href) else ""))
    return help_links


def is_web_url(href: str) -> bool:
    """Return True for an absolute http or https address."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def find_last_events(pack: Pack) -> list[Event]:
    """Find the latest stored events of this pack; of more than MAX_NAMES event names, of the first ones.
    Three queries.
    """
    names = [name for (name,) in _EVENT_NAMES.fetch(pack.identity, limit=MAX_NAMES)]
    if not names:
        return []
    parameters = [value for name in names for value in (pack.identity, name, MAX_EVENTS)]
    ids = sorted(
        (key for (key,) in fetch_all(" UNION ALL ".join([_NEWEST_EVENTS_SQL] * len(names)), parameters)), reverse=True
    )
    return list(Event.objects.filter(id__in=ids[:MAX_EVENTS]).defer("payload").order_by("-id"))
