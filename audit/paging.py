"""A page of a long list, at a cost that does not grow with the list.

A page begins behind a row, not behind a number of rows, and nothing is counted. Rows are found by an index; where
further filters apply, a bounded number of the index's rows is looked at, and the page says where the look ended.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, Subquery, Value
from django.db.models.functions import Concat

from flyte_site.ids import least_id, made_at

PAGE = 25
LOOK_AT = 10_000


@dataclass(frozen=True)
class Place:
    """Where a page begins: behind the row of key `older_than`, or before that of `newer_than`; else at the newest."""

    older_than: str = ""
    newer_than: str = ""


@dataclass(frozen=True)
class Keys:
    """The keys of a page's rows, newest first, and the places of the pages beside it, where there may be any.

    `looked_to` is there where the look ended before the page was full: the time that it had come to.
    """

    keys: list[str]
    newer: Place | None = None
    older: Place | None = None
    looked_to: datetime | None = None


@dataclass(frozen=True)
class Check:
    """A narrowing that the database is not asked for: `those` are the wanted ones of the values of `field`. It is given
    the values of all rows looked at, whatever it finds, so that the time that it takes tells nothing."""

    field: str
    those: Callable[[Sequence[str]], Set[str]]


@dataclass(frozen=True)
class Look:
    """What is looked through: `rows` in the order of `key`, an id.

    `equal` are fields and what they must be. `indexes` are the fields of indexes that end in the key; `rest` narrows
    further, row by row, and `check` last. `since` and `until` are about the time in the key.
    """

    rows: "QuerySet[Any]"
    key: str
    equal: Mapping[str, str] = field(default_factory=dict)
    indexes: Sequence[tuple[str, ...]] = ()
    rest: Callable[["QuerySet[Any]"], "QuerySet[Any]"] | None = None
    since: datetime | None = None
    until: datetime | None = None
    look_at: int = LOOK_AT
    check: Check | None = None

    def within(self, place: Place) -> "QuerySet[Any]":
        """The rows of the time asked for, behind or before the place, newest or oldest first."""
        bounds: dict[str, str] = {}
        if self.since:
            bounds[f"{self.key}__gte"] = least_id(self.since)
        if self.until:
            bounds[f"{self.key}__lt"] = least_id(self.until)
        rows = self.rows.filter(**bounds)
        if place.newer_than:
            return rows.filter(**{f"{self.key}__gt": place.newer_than}).order_by(self.key)
        if place.older_than:
            rows = rows.filter(**{f"{self.key}__lt": place.older_than})
        return rows.order_by(f"-{self.key}")


def page(look: Look, place: Place, size: int = PAGE) -> Keys:
    """The page at this place; the newest page where there is less than a page before it. One to ten queries,
    and mostly two."""
    found, bound = _found(look, place, size)
    full = len(found) > size
    if place.newer_than and not full and bound is None:
        place = Place()
        found, bound = _found(look, place, size)
        full = len(found) > size
    keys = found[:size]
    looked_to = None if full or bound is None else made_at(bound)
    onward = keys[-1] if full else bound
    if place.newer_than:
        keys.reverse()
        back = Place(older_than=keys[-1] if keys else place.newer_than)
        return Keys(keys, Place(newer_than=onward) if onward else None, back, looked_to)
    newer = Place(newer_than=keys[0] if keys else place.older_than) if place.older_than else None
    return Keys(keys, newer, Place(older_than=onward) if onward else None, looked_to)


def _found(look: Look, place: Place, size: int) -> tuple[list[str], str | None]:
    """The keys of the rows found, in the order of looking, one more than the page has where there is one; and the key
    at which the look ended, where it ended for its bound."""
    rows = look.within(place)
    by = [fields for fields in look.indexes if set(fields) <= set(look.equal)] or [()]
    whole = look.rest is None and look.check is None and any(set(fields) == set(look.equal) for fields in by)
    chosen, bound = (by[0], None) if whole and len(by) == 1 else _cheapest(look, rows, by, bool(place.newer_than))
    rows = _filtered(look, rows, chosen)
    if bound is not None:
        side = "lte" if place.newer_than else "gte"
        rows = rows.filter(**{f"{look.key}__{side}": bound})
    return _keys(look, rows, size + 1), bound


def _keys(look: Look, rows: "QuerySet[Any]", most: int) -> list[str]:
    if look.check is None:
        return list(rows.values_list(look.key, flat=True)[:most])
    found = list(rows.values_list(look.key, look.check.field)[: look.look_at])
    those = look.check.those([value for _, value in found])
    return [key for key, value in found if value in those][:most]


def _cheapest(
    look: Look, rows: "QuerySet[Any]", by: Sequence[tuple[str, ...]], ascending: bool
) -> tuple[tuple[str, ...], str | None]:
    """The index whose rows reach furthest, and the key of the last row of it that may be looked at; None: all may."""
    bounds: list[tuple[str, tuple[str, ...]]] = []
    for fields in by:
        own = rows.filter(**{name: look.equal[name] for name in fields})
        bound = own.values_list(look.key, flat=True)[look.look_at - 1 : look.look_at].first()
        if bound is None:
            return fields, None
        bounds.append((bound, fields))
    bound, fields = max(bounds) if ascending else min(bounds)
    return fields, bound


def _filtered(look: Look, rows: "QuerySet[Any]", chosen: tuple[str, ...]) -> "QuerySet[Any]":
    """The rows that were asked for, by the chosen index."""
    rows = rows.filter(**{name: look.equal[name] for name in chosen})
    rows = aside(rows, {name: value for name, value in look.equal.items() if name not in chosen})
    return look.rest(rows) if look.rest else rows


def aside(rows: "QuerySet[Any]", equal: Mapping[str, str]) -> "QuerySet[Any]":
    """The rows with these fields, put so that no index serves it: the database can't know that the index that it would
    take has a million rows where another one has ten."""
    for name, value in equal.items():
        rows = rows.alias(**{f"plain_{name}": Concat(name, Value(""))}).filter(**{f"plain_{name}": value})
    return rows


def having(rows: "QuerySet[Any]", others: "QuerySet[Any]", *, some: bool = True) -> "QuerySet[Any]":
    """The rows for which there are some of the others, or none. Looked up row by row, as the bound supposes: an EXISTS
    PostgreSQL may turn into a join that reads the whole of the other table."""
    name = f"other_{len(rows.query.annotations)}"
    found: QuerySet[Any] = rows.alias(**{name: Subquery(others.order_by().values("id")[:1])}).filter(
        **{f"{name}__isnull": not some}
    )
    return found
