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

from audit.search.index_ranges import IdRange, IndexRange, IndexRow, filter_range, merge_ranges
from flyte_site.core.ids import created_at

PAGE_SIZE = 25
MAX_SCANNED = 10_000
# How many rows of an index are looked at first for each that is wanted.
SCANNED_PER_ROW = 4
# By how many keys rows are looked up at once: PostgreSQL reads the whole table where there are more.
LOOKUP_BATCH_SIZE = 400


@dataclass(frozen=True)
class KeysetCursor:
    """Where a page begins: behind the row of key `older_than`, or before that of `newer_than`; else at the newest."""

    older_than: str = ""
    newer_than: str = ""


@dataclass(frozen=True)
class KeysetPage:
    """The keys of a page's rows, newest first, and the places of the pages beside it, where there may be any.

    `looked_to` is there where the look ended before the page was full: the time that it had come to. `primary` are the
    rows' primary keys.
    """

    keys: list[str]
    newer: KeysetCursor | None = None
    older: KeysetCursor | None = None
    scanned_to: datetime | None = None
    primary_keys: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PostFilter:
    """A narrowing that the database is not asked for: `those` are the wanted ones of the values of `field`. It is given
    the values of all rows looked at, whatever it finds, so that the time that it takes tells nothing."""

    field: str
    select: Callable[[Sequence[str]], Set[str]]


@dataclass(frozen=True)
class RangeSet:
    """Ranges of one index side by side: `rows`, the fields of the index before its key, and their values."""

    queryset: "QuerySet[Any]"
    fields: tuple[str, ...]
    ranges: Sequence[IndexRange]


@dataclass(frozen=True)
class IndexedQuery:
    """What is looked through: `rows` in the order of `key`, an id.

    `equal` are fields and what they must be. `indexes` are the fields of indexes that end in the key, `among` further
    ranges, one of which whatever is found is in; `rest` narrows further, row by row, and `check` last. `since` and
    `until` are about the time in the key.
    """

    queryset: "QuerySet[Any]"
    key: str
    equals: Mapping[str, str] = field(default_factory=dict)
    indexes: Sequence[tuple[str, ...]] = ()
    row_filter: Callable[["QuerySet[Any]"], "QuerySet[Any]"] | None = None
    since: datetime | None = None
    until: datetime | None = None
    max_scanned: int = MAX_SCANNED
    post_filter: PostFilter | None = None
    range_set: RangeSet | None = None

    def id_range(self, cursor: KeysetCursor) -> IdRange:
        """The keys of the time asked for, behind or before the place."""
        ids = IdRange(ascending=bool(cursor.newer_than))
        ids = ids.since(self.since) if self.since else ids
        ids = ids.until(self.until) if self.until else ids
        start_key = cursor.newer_than or cursor.older_than
        return ids.after(start_key) if start_key else ids

    def index_scans(self) -> list["_IndexScan"]:
        """By which indexes the rows can be walked."""
        usable_indexes = [fields for fields in self.indexes if set(fields) <= set(self.equals)]
        scans = [_IndexScan(frozenset(fields), self._index_reader(fields)) for fields in usable_indexes]
        if self.range_set:
            scans.append(_IndexScan(frozenset(self.range_set.fields), self._range_reader(self.range_set)))
        return scans or [_IndexScan(frozenset(), self._index_reader(()))]

    def _index_reader(self, fields: tuple[str, ...]) -> Callable[[IdRange, int], list[IndexRow]]:
        values = {name: self.equals[name] for name in fields}
        return lambda ids, limit: list(self._select_columns(filter_range(self.queryset, values, self.key, ids))[:limit])

    def _range_reader(self, range_set: RangeSet) -> Callable[[IdRange, int], list[IndexRow]]:
        def read_range(index_range: IndexRange, ids: IdRange) -> "QuerySet[Any]":
            values = dict(zip(range_set.fields, index_range, strict=True))
            return self._select_columns(filter_range(range_set.queryset, values, self.key, ids))

        return lambda ids, limit: merge_ranges(range_set.ranges, ids, limit, read_range)

    def _select_columns(self, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        return queryset.values_list(self.key, "pk", self.post_filter.field if self.post_filter else self.key)


class _IndexScan(NamedTuple):
    """An index, by the fields that hold for all that it has, and how so many rows of it are read."""

    fixed_fields: Set[str]
    read: Callable[[IdRange, int], list[IndexRow]]


def fetch_page(query: IndexedQuery, cursor: KeysetCursor, size: int = PAGE_SIZE) -> KeysetPage:
    """The page at this place; the newest page where there is less than a page before it. Mostly one or two queries;
    where filters leave few, thirty, with which the rows that are looked at are told apart."""
    found_rows, stopped_at = _scan(query, cursor, size)
    is_full = len(found_rows) > size
    if cursor.newer_than and not is_full and stopped_at is None:
        cursor = KeysetCursor()
        found_rows, stopped_at = _scan(query, cursor, size)
        is_full = len(found_rows) > size
    rows = found_rows[::-1][-size:] if cursor.newer_than else found_rows[:size]
    keys, primary = [row[0] for row in rows], [row[1] for row in rows]
    scanned_to = None if is_full or stopped_at is None else created_at(stopped_at)
    if cursor.newer_than:
        next_key = keys[0] if is_full else stopped_at
        older = KeysetCursor(older_than=keys[-1] if keys else cursor.newer_than)
        return KeysetPage(keys, KeysetCursor(newer_than=next_key) if next_key else None, older, scanned_to, primary)
    next_key = keys[-1] if is_full else stopped_at
    newer = KeysetCursor(newer_than=keys[0] if keys else cursor.older_than) if cursor.older_than else None
    return KeysetPage(keys, newer, KeysetCursor(older_than=next_key) if next_key else None, scanned_to, primary)


def _scan(query: IndexedQuery, cursor: KeysetCursor, size: int) -> tuple[list[IndexRow], str | None]:
    """The rows found, in the order of looking, one more than the page has where there is one; and the key
    at which the look ended, where it ended for its bound."""
    ids, scans, needed = query.id_range(cursor), query.index_scans(), size + 1
    found_rows: list[IndexRow] = []
    stopped_at: str | None = None
    for limit in _scan_sizes(query, scans, needed):
        rows, fixed_fields, is_exhausted = _read_furthest(scans, ids, limit)
        found_rows += _filter_rows(query, rows, fixed_fields, needed - len(found_rows))
        stopped_at = None if is_exhausted else rows[-1][0]
        if len(found_rows) >= needed or stopped_at is None:
            break
        ids = ids.after(stopped_at)
    return found_rows, stopped_at


def _scan_sizes(query: IndexedQuery, scans: Sequence[_IndexScan], needed: int) -> list[int]:
    """How many rows are looked at, and then how many more where too few were found."""
    if query.post_filter:
        return [query.max_scanned]
    if query.row_filter is None and any(set(query.equals) <= scan.fixed_fields for scan in scans):
        return [needed]
    first = min(SCANNED_PER_ROW * needed, query.max_scanned)
    return [first, query.max_scanned - first] if first < query.max_scanned else [first]


def _read_furthest(scans: Sequence[_IndexScan], ids: IdRange, limit: int) -> tuple[list[IndexRow], Set[str], bool]:
    """The rows by the index that reaches furthest, the fields that hold for them, and whether there are no more."""
    full_scans: list[tuple[str, list[IndexRow], Set[str]]] = []
    for scan in scans:
        rows = scan.read(ids, limit)
        if len(rows) < limit:
            return rows, scan.fixed_fields, True
        full_scans.append((rows[-1][0], rows, scan.fixed_fields))
    furthest_of = max if ids.ascending else min
    _, rows, fixed_fields = furthest_of(full_scans, key=lambda full_scan: full_scan[0])
    return rows, fixed_fields, False


def _filter_rows(query: IndexedQuery, rows: Sequence[IndexRow], fixed_fields: Set[str], limit: int) -> list[IndexRow]:
    """The rows that all else holds for, as many as are wanted."""
    other_fields = {name: value for name, value in query.equals.items() if name not in fixed_fields}
    if other_fields or query.row_filter:
        rows = _filter_by_query(query, other_fields, rows, len(rows) if query.post_filter else limit)
    if query.post_filter:
        selected = query.post_filter.select([row[2] for row in rows])
        rows = [row for row in rows if row[2] in selected]
    return list(rows[:limit])


def _filter_by_query(
    query: IndexedQuery, other_fields: Mapping[str, str], rows: Sequence[IndexRow], limit: int
) -> list[IndexRow]:
    """By their primary keys, some at once: so many PostgreSQL looks up, where a condition may have it read all rows."""
    found_rows: list[IndexRow] = []
    for start in range(0, len(rows), LOOKUP_BATCH_SIZE):
        batch = rows[start : start + LOOKUP_BATCH_SIZE]
        queryset = hide_from_index(query.queryset.filter(pk__in=[row[1] for row in batch]), other_fields)
        passing_keys = set(
            (query.row_filter(queryset) if query.row_filter else queryset).order_by().values_list("pk", flat=True)
        )
        found_rows += [row for row in batch if row[1] in passing_keys]
        if len(found_rows) >= limit:
            break
    return found_rows


def hide_from_index(queryset: "QuerySet[Any]", equals: Mapping[str, str]) -> "QuerySet[Any]":
    """The rows with these fields, put so that no index serves it: the database can't know that the index that it would
    take has a million rows where another one has ten."""
    for name, value in equals.items():
        queryset = queryset.alias(**{f"plain_{name}": Concat(name, Value(""))}).filter(**{f"plain_{name}": value})
    return queryset


def with_related(queryset: "QuerySet[Any]", related: "QuerySet[Any]", *, exists: bool = True) -> "QuerySet[Any]":
    """The rows for which there are some of the others, or none. Looked up row by row, as the bound supposes: an EXISTS
    PostgreSQL may turn into a join that reads the whole of the other table."""
    name = f"other_{len(queryset.query.annotations)}"
    filtered: QuerySet[Any] = queryset.alias(**{name: Subquery(related.order_by().values("id")[:1])}).filter(
        **{f"{name}__isnull": not exists}
    )
    return filtered
