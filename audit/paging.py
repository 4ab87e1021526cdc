"""A page of a long list, at a cost that does not grow with the list.

A page begins behind a row, not behind a number of rows, and nothing is counted. Rows are found by an index; where
further filters apply, a bounded number of the index's rows is looked at, and the page says where the look ended.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet, Subquery, Value
from django.db.models.functions import Concat

from audit.ranges import Ids, Range, Row, in_range, merged
from flyte_site.ids import made_at

PAGE = 25
LOOK_AT = 10_000
# How many rows of an index are looked at first for each that is wanted.
ROWS_FOR_ONE = 4
# By how many keys rows are looked up at once: PostgreSQL reads the whole table where there are more.
LOOK_UP = 400


@dataclass(frozen=True)
class Place:
    """Where a page begins: behind the row of key `older_than`, or before that of `newer_than`; else at the newest."""

    older_than: str = ""
    newer_than: str = ""


@dataclass(frozen=True)
class Keys:
    """The keys of a page's rows, newest first, and the places of the pages beside it, where there may be any.

    `looked_to` is there where the look ended before the page was full: the time that it had come to. `primary` are the
    rows' primary keys.
    """

    keys: list[str]
    newer: Place | None = None
    older: Place | None = None
    looked_to: datetime | None = None
    primary: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Check:
    """A narrowing that the database is not asked for: `those` are the wanted ones of the values of `field`. It is given
    the values of all rows looked at, whatever it finds, so that the time that it takes tells nothing."""

    field: str
    those: Callable[[Sequence[str]], Set[str]]


@dataclass(frozen=True)
class Among:
    """Ranges of one index side by side: `rows`, the fields of the index before its key, and their values."""

    rows: "QuerySet[Any]"
    fields: tuple[str, ...]
    ranges: Sequence[Range]


@dataclass(frozen=True)
class Look:
    """What is looked through: `rows` in the order of `key`, an id.

    `equal` are fields and what they must be. `indexes` are the fields of indexes that end in the key, `among` further
    ranges, one of which whatever is found is in; `rest` narrows further, row by row, and `check` last. `since` and
    `until` are about the time in the key.
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
    among: Among | None = None

    def within(self, place: Place) -> Ids:
        """The keys of the time asked for, behind or before the place."""
        ids = Ids(ascending=bool(place.newer_than))
        ids = ids.since(self.since) if self.since else ids
        ids = ids.until(self.until) if self.until else ids
        at = place.newer_than or place.older_than
        return ids.behind(at) if at else ids

    def walks(self) -> list["_Walk"]:
        """By which indexes the rows can be walked."""
        by = [fields for fields in self.indexes if set(fields) <= set(self.equal)]
        walks = [_Walk(frozenset(fields), self._index(fields)) for fields in by]
        if self.among:
            walks.append(_Walk(frozenset(self.among.fields), self._ranges(self.among)))
        return walks or [_Walk(frozenset(), self._index(()))]

    def _index(self, fields: tuple[str, ...]) -> Callable[[Ids, int], list[Row]]:
        own = {name: self.equal[name] for name in fields}
        return lambda ids, most: list(self._columns(in_range(self.rows, own, self.key, ids))[:most])

    def _ranges(self, among: Among) -> Callable[[Ids, int], list[Row]]:
        def read(one: Range, ids: Ids) -> "QuerySet[Any]":
            own = dict(zip(among.fields, one, strict=True))
            return self._columns(in_range(among.rows, own, self.key, ids))

        return lambda ids, most: merged(among.ranges, ids, most, read)

    def _columns(self, rows: "QuerySet[Any]") -> "QuerySet[Any]":
        return rows.values_list(self.key, "pk", self.check.field if self.check else self.key)


class _Walk(NamedTuple):
    """An index, by the fields that hold for all that it has, and how so many rows of it are read."""

    settles: Set[str]
    read: Callable[[Ids, int], list[Row]]


def page(look: Look, place: Place, size: int = PAGE) -> Keys:
    """The page at this place; the newest page where there is less than a page before it. Mostly one or two queries;
    where filters leave few, thirty, with which the rows that are looked at are told apart."""
    found, bound = _found(look, place, size)
    full = len(found) > size
    if place.newer_than and not full and bound is None:
        place = Place()
        found, bound = _found(look, place, size)
        full = len(found) > size
    rows = found[::-1][-size:] if place.newer_than else found[:size]
    keys, primary = [row[0] for row in rows], [row[1] for row in rows]
    looked_to = None if full or bound is None else made_at(bound)
    if place.newer_than:
        onward = keys[0] if full else bound
        back = Place(older_than=keys[-1] if keys else place.newer_than)
        return Keys(keys, Place(newer_than=onward) if onward else None, back, looked_to, primary)
    onward = keys[-1] if full else bound
    newer = Place(newer_than=keys[0] if keys else place.older_than) if place.older_than else None
    return Keys(keys, newer, Place(older_than=onward) if onward else None, looked_to, primary)


def _found(look: Look, place: Place, size: int) -> tuple[list[Row], str | None]:
    """The rows found, in the order of looking, one more than the page has where there is one; and the key
    at which the look ended, where it ended for its bound."""
    ids, walks, wanted = look.within(place), look.walks(), size + 1
    found: list[Row] = []
    bound: str | None = None
    for most in _looks(look, walks, wanted):
        rows, settled, ended = _furthest(walks, ids, most)
        found += _passing(look, rows, settled, wanted - len(found))
        bound = None if ended else rows[-1][0]
        if len(found) >= wanted or bound is None:
            break
        ids = ids.behind(bound)
    return found, bound


def _looks(look: Look, walks: Sequence[_Walk], wanted: int) -> list[int]:
    """How many rows are looked at, and then how many more where too few were found."""
    if look.check:
        return [look.look_at]
    if look.rest is None and any(set(look.equal) <= walk.settles for walk in walks):
        return [wanted]
    first = min(ROWS_FOR_ONE * wanted, look.look_at)
    return [first, look.look_at - first] if first < look.look_at else [first]


def _furthest(walks: Sequence[_Walk], ids: Ids, most: int) -> tuple[list[Row], Set[str], bool]:
    """The rows by the index that reaches furthest, the fields that hold for them, and whether there are no more."""
    reached: list[tuple[str, list[Row], Set[str]]] = []
    for walk in walks:
        rows = walk.read(ids, most)
        if len(rows) < most:
            return rows, walk.settles, True
        reached.append((rows[-1][0], rows, walk.settles))
    choose = max if ids.ascending else min
    _, rows, settled = choose(reached, key=lambda one: one[0])
    return rows, settled, False


def _passing(look: Look, rows: Sequence[Row], settled: Set[str], most: int) -> list[Row]:
    """The rows that all else holds for, as many as are wanted."""
    others = {name: value for name, value in look.equal.items() if name not in settled}
    if others or look.rest:
        rows = _narrowed(look, others, rows, len(rows) if look.check else most)
    if look.check:
        those = look.check.those([row[2] for row in rows])
        rows = [row for row in rows if row[2] in those]
    return list(rows[:most])


def _narrowed(look: Look, others: Mapping[str, str], rows: Sequence[Row], most: int) -> list[Row]:
    """By their primary keys, some at once: so many PostgreSQL looks up, where a condition may have it read all rows."""
    found: list[Row] = []
    for start in range(0, len(rows), LOOK_UP):
        some = rows[start : start + LOOK_UP]
        asked = aside(look.rows.filter(pk__in=[row[1] for row in some]), others)
        passing = set((look.rest(asked) if look.rest else asked).order_by().values_list("pk", flat=True))
        found += [row for row in some if row[1] in passing]
        if len(found) >= most:
            break
    return found


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
