"""Rows of a model by ready-made SQL, for what happens with every event, take and result.

There Django's building of a query costs several times what the database does for it. Everything else uses querysets.
The fields' own conversions hold here too, so that rows are the same whoever wrote them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from django.db import connection, models

from flyte_site.fields import JSONText

M = TypeVar("M", bound=models.Model)


class Rows(Generic[M]):
    """The rows of one model's table. Conditions are SQL with `%s` for each value, of columns of that table."""

    def __init__(self, model: type[M]) -> None:
        self.model = model
        self.fields = model._meta.concrete_fields
        self.table = model._meta.db_table
        self.names = [field.attname for field in self.fields]
        self.columns = ", ".join(str(field.column) for field in self.fields)
        self._select = f"SELECT {self.columns} FROM {self.table} WHERE "  # noqa: S608
        self._insert = f"INSERT INTO {self.table} ({self.columns}) VALUES "  # noqa: S608
        self._marks = f"({', '.join(['%s'] * len(self.fields))})"
        self._updates: dict[tuple[str, ...], str] = {}
        self._readers: dict[str, list[tuple[int, Callable[..., Any]]]] = {}

    def find(self, condition: str, *values: Any, lock: bool = False) -> list[M]:
        """The rows that meet the condition, which may go on with an order and a limit; locked till the transaction's
        end where the database locks rows."""
        return self.read(self._select + condition + (for_update() if lock else ""), values)

    def first(self, condition: str, *values: Any, lock: bool = False) -> M | None:
        """The first row of `find`."""
        return next(iter(self.find(condition, *values, lock=lock)), None)

    def read(self, sql: str, values: Sequence[Any]) -> list[M]:
        """The rows that a statement gives, with all columns in the order of `columns`."""
        with connection.cursor() as cursor:
            cursor.execute(sql, [plain(value) for value in values])
            found = cursor.fetchall()
        return [self._row(row) for row in found]

    def insert(self, rows: Sequence[M]) -> None:
        """Write new rows."""
        if not rows:
            return
        values = [self._value(field, getattr(row, field.attname)) for row in rows for field in self.fields]
        with connection.cursor() as cursor:
            cursor.execute(self._insert + ", ".join([self._marks] * len(rows)), values)
        for row in rows:
            row._state.adding, row._state.db = False, connection.alias

    def update(self, row: M, *names: str, where: tuple[Any, ...] = ("",)) -> int:
        """Write these fields of a row, if it is there and meets the condition; gives how many rows that were."""
        condition, *further = where
        sql = self._updates.get((condition, *names))
        if sql is None:
            places = ", ".join(f"{self._field(name).column} = %s" for name in names)
            only = f" AND {condition}" if condition else ""
            sql = f"UPDATE {self.table} SET {places} WHERE id = %s{only}"  # noqa: S608
            self._updates[condition, *names] = sql
        values = [self._value(self._field(name), getattr(row, name)) for name in names]
        with connection.cursor() as cursor:
            cursor.execute(sql, [*values, row.pk, *map(plain, further)])
            return int(cursor.rowcount)

    def _field(self, name: str) -> Any:
        return self.model._meta.get_field(name)

    def _value(self, field: Any, value: Any) -> Any:
        """A field's value as its column takes it."""
        if isinstance(field, JSONText):
            return field.get_prep_value(value)
        if isinstance(value, bytes):
            return field.get_db_prep_value(value, connection)
        return plain(value)

    def _row(self, values: Sequence[Any]) -> M:
        converted = list(values)
        for place, read in self._readers.get(connection.vendor) or self._make_readers():
            converted[place] = read(converted[place])
        return self.model.from_db(connection.alias, self.names, converted)

    def _make_readers(self) -> list[tuple[int, Callable[..., Any]]]:
        """What turns columns into values, by their places."""
        found = []
        for place, field in enumerate(self.fields):
            column = field.get_col(self.table)
            converters = connection.ops.get_db_converters(column) + field.get_db_converters(connection)
            found += [(place, _reader(converter, column)) for converter in converters]
        self._readers[connection.vendor] = found
        return found


def _reader(converter: Callable[..., Any], column: Any) -> Callable[[Any], Any]:
    return lambda value: converter(value, column, connection)


def plain(value: Any) -> Any:
    """A value as a statement's parameter: of those that are used here, times alone differ between databases."""
    return connection.ops.adapt_datetimefield_value(value) if hasattr(value, "tzinfo") else value


def for_update() -> str:
    """What locks the rows of a SELECT; a transaction of SQLite's has the whole file anyway."""
    return " FOR UPDATE" if connection.features.has_select_for_update else ""
