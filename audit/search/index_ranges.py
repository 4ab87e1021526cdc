"""Ranges of indexes that end in an id, read in the order of the id and only as far as needed.

A range is selected by comparing rows of columns: `(step_id, id) < ('work', '…')`. With `step_id = 'work'` PostgreSQL,
which plans a prepared statement for any value, may scan all ids instead if the value is one in a million.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import BooleanField, F, Func, QuerySet, TextField, Value

from flyte_site.core.ids import min_id_at

# Below and above all ids, which have 24 hexadecimal digits.
MIN_ID, MAX_ID = "", "g"
# Bound on ranges that are read in parallel.
MAX_RANGES = 100

IndexRange = tuple[str, ...]
"""The values of an index's columns before the id."""
IndexRow = tuple[str, ...]
"""An id, and the other selected columns."""


@dataclass(frozen=True)
class IdRange:
    """The ids from `min_id` to `max_id`, in descending or, if `ascending`, ascending order."""

    min_id: str = MIN_ID
    max_id: str = MAX_ID
    ascending: bool = False

    def since(self, moment: datetime) -> "IdRange":
        return replace(self, min_id=max(self.min_id, min_id_at(moment)))

    def until(self, moment: datetime) -> "IdRange":
        return replace(self, max_id=min(self.max_id, _adjacent_id(min_id_at(moment), -1)))

    def after(self, some_id: str) -> "IdRange":
        """Return the rest of the range after this id."""
        if self.ascending:
            return replace(self, min_id=max(self.min_id, _adjacent_id(some_id, 1)))
        return replace(self, max_id=min(self.max_id, _adjacent_id(some_id, -1)))


def _adjacent_id(some_id: str, distance: int) -> str:
    """Return the next or previous possible id; it need not exist."""
    return f"{max(int(some_id, 16) + distance, 0):024x}"


class _RowValue(Func):
    template = "(%(expressions)s)"
    output_field = TextField()


class _RowComparison(Func):
    template = "%(expressions)s"
    output_field = BooleanField()


def filter_range(queryset: "QuerySet[Any]", equals: Mapping[str, str], key: str, id_range: IdRange) -> "QuerySet[Any]":
    """Filter rows whose fields equal these values, in the order of the id column `key`, by the index of these fields
    and the key.
    """
    sign = "" if id_range.ascending else "-"
    if not equals:
        return queryset.filter(**{f"{key}__gte": id_range.min_id, f"{key}__lte": id_range.max_id}).order_by(
            f"{sign}{key}"
        )
    columns = _RowValue(*map(F, equals), F(key))
    lower_bound, upper_bound = (
        _RowValue(*map(Value, equals.values()), Value(end)) for end in (id_range.min_id, id_range.max_id)
    )
    # With "<" PostgreSQL would estimate almost no rows: it considers only the first column.
    matching = queryset.filter(
        _RowComparison(columns, lower_bound, arg_joiner=" >= "), _RowComparison(columns, upper_bound, arg_joiner=" <= ")
    )
    return matching.order_by(*(f"{sign}{name}" for name in (*equals, key)))


def merge_ranges(
    ranges: Collection[IndexRange],
    id_range: IdRange,
    limit: int,
    read: Callable[[IndexRange, IdRange], "QuerySet[Any]"],
) -> list[IndexRow]:
    """Return the first `limit` rows of all ranges, in the order of their ids. `read` queries the rows of one range.

    Read a share of each range, then twice as much of those that may still contribute, until none does: in total a few
    rows per range and a few per row of `limit`. One query per pass.
    """
    rows: list[IndexRow] = []
    remaining = dict.fromkeys(ranges, id_range)
    share = limit if len(remaining) == 1 else max(4, 2 * limit // max(len(remaining), 1))
    while remaining:
        parts = _read_union(
            [read(index_range, remaining_ids)[:share] for index_range, remaining_ids in remaining.items()]
        )
        rows = sorted([*rows, *(row for part in parts for row in part)], reverse=not id_range.ascending)[:limit]
        unfinished = [
            (index_range, part[-1]) for index_range, part in zip(remaining, parts, strict=True) if len(part) == share
        ]
        remaining = {
            index_range: id_range.after(last[0])
            for index_range, last in unfinished
            if len(rows) < limit or last in rows
        }
        share = min(2 * share, limit)
    return rows


def _read_union(parts: Sequence["QuerySet[Any]"]) -> list[list[IndexRow]]:
    """Run several queries of an id and other columns as one. Django's union can't limit its parts on SQLite."""
    compiled = [part.query.sql_with_params() for part in parts]
    selects = [f"SELECT {index}, part.* FROM ({sql}) AS part" for index, (sql, _) in enumerate(compiled)]  # noqa: S608
    rows_by_part: list[list[IndexRow]] = [[] for _ in parts]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(selects), [value for _, parameters in compiled for value in parameters])
        for index, *row in cursor.fetchall():
            rows_by_part[index].append(tuple(row))
    return rows_by_part
