"""Packs a page at a time, each with what waits for it and what it has in hand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from audit.queued import Amount, amount, groups, held, takeable
from packs.models import Pack, of_status

PAGE = 50
_COLON = re.compile(r"\s*:\s*")


@dataclass(frozen=True)
class Row:
    """A pack, what waits that it could take, and what it has in hand. `labels` are pairs."""

    pack: Pack
    labels: list[tuple[str, str]]
    waiting: Amount
    held: Amount

    @property
    def events(self) -> list[str]:
        """The names of all events that the pack tells of: those it declared, then those that its commands end in."""
        ends = [name for command in self.pack.commands for name in command.get("events") or ()]
        return list(dict.fromkeys([*(event["name"] for event in self.pack.events), *ends]))


@dataclass(frozen=True)
class Packs:
    """A page of packs; `before` and `after` are the identities that the pages beside it begin at, '' for none."""

    rows: list[Row]
    before: str
    after: str


def packs(wanted: Mapping[str, str], before: str, after: str, now: datetime, *, loads: bool = True) -> Packs:
    """The packs that are asked for (`text`, `status`), in the order of their identities, behind `after` or up to
    `before`. `loads` says whether what waits is looked up. Three queries."""
    found = _matching(wanted, now)
    if before:
        page = list(found.filter(identity__lt=before).order_by("-identity")[: PAGE + 1])
        more, shown = len(page) > PAGE, page[:PAGE][::-1]
        return _page(shown, shown[0].identity if shown and more else "", _last(shown), loads=loads)
    page = list(found.filter(identity__gt=after).order_by("identity")[: PAGE + 1])
    shown = page[:PAGE]
    first = shown[0].identity if after and shown else ""
    return _page(shown, first, _last(shown) if len(page) > PAGE else "", loads=loads)


def _last(shown: list[Pack]) -> str:
    return shown[-1].identity if shown else ""


def _page(shown: list[Pack], before: str, after: str, *, loads: bool) -> Packs:
    waiting = groups({pack.name for pack in shown}) if loads else []
    in_hand = held() if loads else {}
    rows = [
        Row(pack, sorted(pack.labels.items()), amount(takeable(pack, waiting)), in_hand.get(pack.identity, Amount()))
        for pack in shown
    ]
    return Packs(rows, before, after)


def _matching(wanted: Mapping[str, str], now: datetime) -> "QuerySet[Pack, Any]":
    """A label is looked for as it stands in an identity, also where somebody writes `env: prod`."""
    found = Pack.objects.defer("links")
    if status := wanted.get("status"):
        found = found.filter(of_status(status, now))
    if text := wanted.get("text", "").strip():
        found = found.filter(Q(identity__icontains=text) | Q(identity__icontains=_COLON.sub(".", text)))
    return found
