"""Ranges of indexes that end in an id, read in the order of the id, and no more of them than is asked for.

A range is asked for by comparing rows of columns: `(step_id, id) < ('work', '…')`. With `step_id = 'work'` PostgreSQL,
which plans a prepared statement for any value, may walk all ids instead, where the value that comes is rare a million.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import BooleanField, F, Func, QuerySet, TextField, Value

from flyte_site.ids import least_id

# Less and more than any id, which is of 24 hexadecimal digits.
LEAST, GREATEST = "", "g"
# How many different values of a column are looked up, and how many ranges are read side by side, at most.
MOST_VALUES = 1_000
MOST_RANGES = 100

Range = tuple[str, ...]
"""The values that an index's columns before the id have."""
Row = tuple[str, ...]
"""An id, and what else was asked for with it."""

# One look-up in the index for each value, however many rows have it.
_VALUES = """
    WITH RECURSIVE found(value, place) AS (
        SELECT min({column}), 1 FROM {table} WHERE {condition}
        UNION ALL
        SELECT (SELECT min({column}) FROM {table} WHERE {condition} AND {column} > found.value), place + 1
        FROM found WHERE found.value IS NOT NULL AND place <= %s
    )
    SELECT value FROM found WHERE value IS NOT NULL
"""


@dataclass(frozen=True)
class Ids:
    """The ids from `least` to `greatest`, the greatest first or, `ascending`, the least."""

    least: str = LEAST
    greatest: str = GREATEST
    ascending: bool = False

    def since(self, moment: datetime) -> "Ids":
        return replace(self, least=max(self.least, least_id(moment)))

    def until(self, moment: datetime) -> "Ids":
        return replace(self, greatest=min(self.greatest, _beside(least_id(moment), -1)))

    def behind(self, some_id: str) -> "Ids":
        """Those that come after this one."""
        if self.ascending:
            return replace(self, least=max(self.least, _beside(some_id, 1)))
        return replace(self, greatest=min(self.greatest, _beside(some_id, -1)))


def _beside(some_id: str, distance: int) -> str:
    """The id before or after this one, whether there is one or not."""
    return f"{max(int(some_id, 16) + distance, 0):024x}"


class _Columns(Func):
    template = "(%(expressions)s)"
    output_field = TextField()


class _Compared(Func):
    template = "%(expressions)s"
    output_field = BooleanField()


def in_range(rows: "QuerySet[Any]", equal: Mapping[str, str], key: str, ids: Ids) -> "QuerySet[Any]":
    """The rows whose fields equal these, in the order of the key, an id, by the index of these fields and the key."""
    sign = "" if ids.ascending else "-"
    if not equal:
        return rows.filter(**{f"{key}__gte": ids.least, f"{key}__lte": ids.greatest}).order_by(f"{sign}{key}")
    columns = _Columns(*map(F, equal), F(key))
    least, greatest = (_Columns(*map(Value, equal.values()), Value(end)) for end in (ids.least, ids.greatest))
    # With "<" PostgreSQL would think that there is next to nothing: it judges by the first column alone.
    found = rows.filter(_Compared(columns, least, arg_joiner=" >= "), _Compared(columns, greatest, arg_joiner=" <= "))
    return found.order_by(*(f"{sign}{name}" for name in (*equal, key)))


def values(table: str, column: str, condition: str = "1 = 1", parameters: Sequence[str] = ()) -> list[str] | None:
    """The different values of a column that an index begins with, behind what the condition fixes; None where there are
    more than MOST_VALUES."""
    statement = _VALUES.format(table=table, column=column, condition=condition)
    with connection.cursor() as cursor:
        cursor.execute(statement, [*parameters, *parameters, MOST_VALUES])
        found = [value for (value,) in cursor.fetchall()]
    return found if len(found) <= MOST_VALUES else None


def merged(ranges: Collection[Range], ids: Ids, most: int, read: Callable[[Range, Ids], "QuerySet[Any]"]) -> list[Row]:
    """The first `most` rows of all these ranges, in the order of their ids. `read` gives the rows of one.

    Of each range a share is read, and of those that went on beyond what is known twice as much again, until none does:
    all in all some rows for each range, and some for each of `most`. One query for each time.
    """
    found: list[Row] = []
    places = dict.fromkeys(ranges, ids)
    share = most if len(places) == 1 else max(4, 2 * most // max(len(places), 1))
    while places:
        parts = _read_all([read(one, place)[:share] for one, place in places.items()])
        found = sorted([*found, *(row for part in parts for row in part)], reverse=not ids.ascending)[:most]
        going_on = [(one, part[-1]) for one, part in zip(places, parts, strict=True) if len(part) == share]
        places = {one: ids.behind(last[0]) for one, last in going_on if len(found) < most or last in found}
        share = min(2 * share, most)
    return found


def _read_all(parts: Sequence["QuerySet[Any]"]) -> list[list[Row]]:
    """The rows of several queries of an id and other columns, by one query. Django's own union takes no limits of its
    parts on SQLite."""
    asked = [part.query.sql_with_params() for part in parts]
    selects = [f"SELECT {place}, part.* FROM ({sql}) AS part" for place, (sql, _) in enumerate(asked)]  # noqa: S608
    found: list[list[Row]] = [[] for _ in parts]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(selects), [value for _, parameters in asked for value in parameters])
        for place, *row in cursor.fetchall():
            found[place].append(tuple(row))
    return found
