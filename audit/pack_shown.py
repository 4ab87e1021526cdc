"""A pack put together for its page: what it declared, what waits for it, and what it did lately."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.db import connection

from audit.queued import Amount, Group, amount, groups, held_by, oldest, takeable
from flows.models import Event
from packs.models import Action, Pack
from packs.orphans import orphaned_among

MOST_ACTIONS = 50
MOST_OLDEST = 10
# Kinds of labels whose oldest actions are listed, and declared names that are.
MOST_KINDS = 20
MOST_NAMES = 200
MOST_EVENTS = 10

# The names of a pack's kept events, one look-up each, and the newest events of a name.
_EVENT_NAMES = """
    WITH RECURSIVE found(name) AS (
        SELECT min(name) FROM flows_event WHERE pack_identity = %s
        UNION ALL
        SELECT (SELECT min(name) FROM flows_event WHERE pack_identity = %s AND name > found.name)
        FROM found WHERE found.name IS NOT NULL
    )
    SELECT name FROM found WHERE name IS NOT NULL LIMIT %s
"""
_NEWEST = """
    SELECT id FROM (
        SELECT id FROM flows_event WHERE pack_identity = %s AND name = %s ORDER BY id DESC LIMIT %s
    ) AS part
"""


@dataclass(frozen=True)
class Help:
    """A link that a pack brought. `href` may be followed: a page of http or https; else it is empty."""

    rel: str
    text: str
    href: str


@dataclass(frozen=True)
class Queue:
    """What waits for a pack: how much, what of it no other pack could take, the oldest, and what the pack holds."""

    waiting: Amount
    alone: Amount
    oldest: list[Action]
    held: list[Action]


def queue_of(pack: Pack) -> Queue:
    """The pack's queue. At most 24 queries, of which 20 for as many kinds of labels."""
    found = takeable(pack, groups([pack.name]))
    others = orphaned_among([(one.pack_name, one.label_key) for one in found], Pack.objects.exclude(pk=pack.pk))
    alone = [one for one in found if (one.pack_name, one.label_key) in others]
    return Queue(amount(found), amount(alone), _oldest(found), held_by(pack.identity, MOST_ACTIONS))


def _oldest(found: Collection[Group]) -> list[Action]:
    return oldest(list(found)[:MOST_KINDS], MOST_OLDEST)


def commands(pack: Pack) -> list[tuple[str, list[str]]]:
    """The pack's commands with the events that may come of each; MOST_NAMES at most."""
    return [(one["name"], (one.get("events") or [])[:MOST_NAMES]) for one in pack.commands[:MOST_NAMES]]


def declared(pack: Pack) -> list[tuple[str, list[Help]]]:
    """The events that the pack says it sends, with their help; MOST_NAMES at most."""
    return [(one["name"], helps(one.get("links") or ())) for one in pack.events[:MOST_NAMES]]


def helps(links: Iterable[Mapping[str, str]]) -> list[Help]:
    """Links for people. What a pack says may be anything: only a page of http or https becomes a link."""
    found = []
    for link in list(links)[:MOST_NAMES]:
        href, rel = str(link.get("href", "")), str(link.get("rel", ""))
        found.append(Help(rel, href, href if is_page(href) else ""))
    return found


def is_page(href: str) -> bool:
    """Whether this is the absolute address of a page."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def last_events(pack: Pack) -> list[Event]:
    """The last kept events of this very pack; of more than MOST_NAMES names, of the first of these. Three queries."""
    names = [name for (name,) in _rows(_EVENT_NAMES, [pack.identity, pack.identity, MOST_NAMES])]
    if not names:
        return []
    parameters = [value for name in names for value in (pack.identity, name, MOST_EVENTS)]
    ids = sorted((key for (key,) in _rows(" UNION ALL ".join([_NEWEST] * len(names)), parameters)), reverse=True)
    return list(Event.objects.filter(id__in=ids[:MOST_EVENTS]).defer("payload").order_by("-id"))


def _rows(sql: str, parameters: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
