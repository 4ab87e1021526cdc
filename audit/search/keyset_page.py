"""A page of a long list, at a cost that does not grow with the list.

A page begins after a row, not after a number of rows, and nothing is counted. An index finds the rows; with further
filters a bounded number of the index's rows is scanned, and the page reports where the scan stopped.
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
# Index rows that are scanned first for each row of the page.
SCANNED_PER_ROW = 4
# Keys per look-up: with more, PostgreSQL reads the whole table.
LOOKUP_BATCH_SIZE = 400


@dataclass(frozen=True)
class KeysetCursor:
    """The start of a page: after the row with key `older_than`, or before the row with key `newer_than`; by default the
    newest.
    """

    older_than: str = ""
    newer_than: str = ""


@dataclass(frozen=True)
class KeysetPage:
    """The keys of a page's rows, newest first, and the cursors of the adjacent pages that may exist.

    `scanned_to` is set if the scan stopped before the page was full: the time that it reached. `primary_keys` are the
    rows' primary keys.
    """

    keys: list[str]
    newer: KeysetCursor | None = None
    older: KeysetCursor | None = None
    scanned_to: datetime | None = None
    primary_keys: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PostFilter:
    """A filter that the database does not evaluate: `select` returns the accepted values of `field`. It receives the
    values of all scanned rows, so that its run time reveals nothing about them.
    """

    field: str
    select: Callable[[Sequence[str]], Set[str]]


@dataclass(frozen=True)
class RangeSet:
    """Parallel ranges of one index: the rows, the index's fields before the key, and their values."""

    queryset: "QuerySet[Any]"
    fields: tuple[str, ...]
    ranges: Sequence[IndexRange]


@dataclass(frozen=True)
class IndexedQuery:
    """A search through `queryset` in the order of `key`, an id.

    `equals` maps fields to their required values. `indexes` lists the fields of indexes that end in the key;
    `range_set` adds ranges that contain every match. `row_filter` narrows further, row by row, and `post_filter` last.
    `since` and `until` refer to the time in the key.
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
        """Return the range of keys in the requested period, after or before the cursor."""
        ids = IdRange(ascending=bool(cursor.newer_than))
        ids = ids.since(self.since) if self.since else ids
        ids = ids.until(self.until) if self.until else ids
        start_key = cursor.newer_than or cursor.older_than
        return ids.after(start_key) if start_key else ids

    def index_scans(self) -> list["_IndexScan"]:
        """Return the possible index scans."""
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
    """An index scan: the fields that it fixes, and a function that reads a number of rows."""

    fixed_fields: Set[str]
    read: Callable[[IdRange, int], list[IndexRow]]


def fetch_page(query: IndexedQuery, cursor: KeysetCursor, size: int = PAGE_SIZE) -> KeysetPage:
    """Return the page at the cursor, or the newest page if there are too few rows before it. Usually one or two
    queries; about thirty if the filters match few rows.
    """
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
    """Return the matches in scan order, one more than the page needs if there is one, and the key at which the scan
    stopped if it reached its bound.
    """
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
    """Return the number of rows to scan first, and then if too few matched."""
    if query.post_filter:
        return [query.max_scanned]
    if query.row_filter is None and any(set(query.equals) <= scan.fixed_fields for scan in scans):
        return [needed]
    first = min(SCANNED_PER_ROW * needed, query.max_scanned)
    return [first, query.max_scanned - first] if first < query.max_scanned else [first]


def _read_furthest(scans: Sequence[_IndexScan], ids: IdRange, limit: int) -> tuple[list[IndexRow], Set[str], bool]:
    """Read with the index that reaches furthest. Return the rows, the fields that it fixes, and True if it was read
    to the end.
    """
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
    """Apply the remaining filters; return at most `limit` rows."""
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
    """Filter by primary keys in batches: PostgreSQL looks up that many, but may read all rows for a condition."""
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
    """Filter by these fields in a form that no index serves: the database can't know that its index of choice has a
    million matching rows and another one ten.
    """
    for name, value in equals.items():
        queryset = queryset.alias(**{f"plain_{name}": Concat(name, Value(""))}).filter(**{f"plain_{name}": value})
    return queryset


def with_related(queryset: "QuerySet[Any]", related: "QuerySet[Any]", *, exists: bool = True) -> "QuerySet[Any]":
    """Filter rows by the existence of related rows. A subquery per row keeps the scan's bound: PostgreSQL may turn an
    EXISTS into a join that reads the whole other table.
    """
    name = f"other_{len(queryset.query.annotations)}"
    filtered: QuerySet[Any] = queryset.alias(**{name: Subquery(related.order_by().values("id")[:1])}).filter(
        **{f"{name}__isnull": not exists}
    )
    return filtered
