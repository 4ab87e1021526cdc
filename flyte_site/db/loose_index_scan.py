"""Loose index scans: the distinct values of an index's columns, at the cost of one index look-up for each value.

SQLite and PostgreSQL read every row for a `SELECT DISTINCT`. The recursive query here is the one of
https://wiki.postgresql.org/wiki/Loose_indexscan, for one column or several.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flyte_site.db.raw_sql import fetch_all, placeholders

ALL_KEYS = "SELECT * FROM keys"


@dataclass(frozen=True)
class LooseIndexScan:
    """A query for the distinct values of `columns`, which follow each other in an index of `table`.

    `where` fixes the index's columns before them, and repeats the condition of a partial index word for word; it may
    have parameters. `following` are the index's columns after them: each look-up is sorted by these too, because only
    this index has that order. With `min()` PostgreSQL could use another index, and read many rows.
    """

    table: str
    columns: tuple[str, ...]
    following: tuple[str, ...]
    where: str = ""

    def fetch(
        self,
        *where_values: Any,
        limit: int | None = None,
        first_values: Sequence[str] = (),
        select: str = ALL_KEYS,
        select_values: Sequence[Any] = (),
    ) -> list[tuple[Any, ...]]:
        """Return the distinct values, a tuple of the columns' values each, in any order. One statement.

        `limit` bounds the values of each column per values of the columns before it, and the number of results.
        `first_values` are the values of the first column, which is then not searched; `limit` applies to each of them.
        `select` queries the table `keys` of the distinct values instead of returning them, with the parameters
        `select_values`.
        """
        searched_columns = len(self.columns) - bool(first_values)
        parameters = [*first_values, *where_values * 2 * searched_columns, *select_values]
        return fetch_all(self._build_sql(limit, len(first_values), select), parameters)

    def _build_sql(self, limit: int | None, first_count: int, select: str) -> str:
        tables = [self._build_column_table(index, limit) for index in range(bool(first_count), len(self.columns))]
        if first_count:
            tables.insert(0, f"keys_1({self.columns[0]}) AS (VALUES {placeholders(first_count)})")
        columns, table = ", ".join(self.columns), f"keys_{len(self.columns)}"
        keys = f"SELECT {columns} FROM {table} WHERE {self.columns[-1]} IS NOT NULL"  # noqa: S608
        limit_clause = f" LIMIT {limit}" if limit is not None and not first_count else ""
        return f"WITH RECURSIVE {', '.join(tables)}, keys AS ({keys}{limit_clause}) {select}"

    def _build_column_table(self, index: int, limit: int | None) -> str:
        """Build the table of the distinct values of this column and those before it, ending with a NULL."""
        *fixed, column = self.columns[: index + 1]
        table, fixed_table = f"keys_{index + 1}", f"keys_{index}"
        fixed_columns = "".join(f"{name}, " for name in fixed)
        source = f" FROM {fixed_table} WHERE {fixed[-1]} IS NOT NULL" if fixed else ""
        bound = f" AND ordinal < {limit}" if limit is not None else ""
        first = self._build_lookup(index, [f"{name} = {fixed_table}.{name}" for name in fixed])
        following = self._build_lookup(
            index, [*(f"{name} = {table}.{name}" for name in fixed), f"{column} > {table}.{column}"]
        )
        start = f"SELECT {fixed_columns}{first}, 1{source}"
        step = f"SELECT {fixed_columns}{following}, ordinal + 1 FROM {table} WHERE {column} IS NOT NULL{bound}"  # noqa: S608
        return f"{table}({fixed_columns}{column}, ordinal) AS ({start} UNION ALL {step})"

    def _build_lookup(self, index: int, conditions: list[str]) -> str:
        """Build the query for the first value of a column that meets the conditions."""
        all_conditions = [self.where, *conditions] if self.where else conditions
        where_clause = f" WHERE {' AND '.join(all_conditions)}" if all_conditions else ""
        order = ", ".join([*self.columns[index:], *self.following])
        return f"(SELECT {self.columns[index]} FROM {self.table}{where_clause} ORDER BY {order} LIMIT 1)"  # noqa: S608
