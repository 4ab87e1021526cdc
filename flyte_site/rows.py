"""Rows of a model by ready-made SQL, for what happens with every event, take and result.

There Django's building of a query costs several times what the database does for it. Everything else uses querysets.
The fields' own conversions hold here too, so that rows are the same whoever wrote them.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from flyte_site.fields import JSONText

MOST_SHAPES = 256
M = TypeVar("M", bound=models.Model)
Read = Callable[[Any], Any]


class Rows(Generic[M]):
    """The rows of one model's table. Conditions are SQL with `%s` for each value, of columns of that table.

    They are read `without` some of their fields, which is for readers alone: a row reads such a field when it is asked
    for it.
    """

    def __init__(self, model: type[M], without: Collection[str] = ()) -> None:
        self.model = model
        self.fields = [field for field in model._meta.concrete_fields if field.attname not in without]
        self.table = model._meta.db_table
        self._known = frozenset(field.attname for field in self.fields)
        self.columns = ", ".join(str(field.column) for field in self.fields)
        self._select = f"SELECT {self.columns} FROM {self.table} WHERE "  # noqa: S608
        self._insertions: dict[tuple[Any, ...], str] = {}
        self._updates: dict[tuple[str, ...], tuple[str, list[Any]]] = {}
        self._readers: dict[str, list[tuple[int, Read]]] = {}

    def find(self, condition: str, *values: Any, lock: bool = False) -> list[M]:
        """The rows that meet the condition, which may go on with an order and a limit; locked till the transaction's
        end where the database locks rows."""
        return self.read(*self.query(condition, *values, lock=lock))

    def first(self, condition: str, *values: Any, lock: bool = False) -> M | None:
        """The first row of `find`."""
        return next(iter(self.find(condition, *values, lock=lock)), None)

    def query(self, condition: str, *values: Any, lock: bool = False) -> tuple[str, Sequence[Any]]:
        """What `find` asks, and its values."""
        return self._select + condition + (_for_update() if lock else ""), values

    def read(self, sql: str, values: Sequence[Any]) -> list[M]:
        """The rows that a statement gives, with all columns in the order of `columns`."""
        database = connections[DEFAULT_DB_ALIAS]
        with database.cursor() as cursor:
            cursor.execute(sql, parameters(values, database))
            return self.made_of(cursor.fetchall(), database)

    def made_of(self, found: Sequence[Sequence[Any]], database: BaseDatabaseWrapper) -> list[M]:
        """Rows as the database gave them."""
        readers = self._readers.get(database.vendor) or self._make_readers(database)
        rows = []
        for given in found:
            values = list(given)
            for place, read in readers:
                if values[place] is not None:
                    values[place] = read(values[place])
            rows.append(self.model.from_db(database.alias, self._known, values))
        return rows

    def insert(self, rows: Sequence[M]) -> None:
        """Write new rows."""
        if not rows:
            return
        database = connections[DEFAULT_DB_ALIAS]
        fields = [field for field in self.fields if any(getattr(row, field.attname) is not None for row in rows)]
        values = [_stored(field, getattr(row, field.attname), database) for row in rows for field in fields]
        _write(self._insertion(fields, len(rows)), values, database)
        for row in rows:
            row._state.adding, row._state.db = False, database.alias

    def update(self, row: M, *names: str) -> None:
        """Write these fields of a row."""
        database = connections[DEFAULT_DB_ALIAS]
        _write(*self._update(row, names, database), database)

    def update_if(self, condition: str, further: Sequence[Any], row: M, *names: str) -> bool:
        """Write these fields of a row if it is there and meets the condition; gives whether it was and did."""
        database = connections[DEFAULT_DB_ALIAS]
        sql, values = self._update(row, names, database)
        with database.cursor() as cursor:
            cursor.execute(f"{sql} AND {condition}", [*values, *parameters(further, database)])
            return bool(cursor.rowcount == 1)

    def _insertion(self, fields: Sequence[Any], count: int) -> str:
        """The statement that inserts so many rows with these fields. The others are NULL: left out, since psycopg keeps
        prepared only what has few values."""
        key = (count, *(field.attname for field in fields))
        found = self._insertions.get(key)
        if found is None:
            columns, marks = ", ".join(field.column for field in fields), ", ".join(["%s"] * len(fields))
            rows = ", ".join([f"({marks})"] * count)
            found = f"INSERT INTO {self.table} ({columns}) VALUES {rows}"  # noqa: S608
            if len(self._insertions) < MOST_SHAPES:
                self._insertions[key] = found
        return found

    def _update(self, row: M, names: tuple[str, ...], database: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        """The statement that writes these fields of a row, and its values."""
        found = self._updates.get(names)
        if found is None:
            fields: list[Any] = [self.model._meta.get_field(name) for name in names]
            places = ", ".join(f"{field.column} = %s" for field in fields)
            found = self._updates[names] = (f"UPDATE {self.table} SET {places} WHERE id = %s", fields)  # noqa: S608
        sql, fields = found
        return sql, [*(_stored(field, getattr(row, field.attname), database) for field in fields), row.pk]

    def _make_readers(self, database: BaseDatabaseWrapper) -> list[tuple[int, Read]]:
        """What turns columns into values, by their places."""
        found: list[tuple[int, Read]] = []
        for place, field in enumerate(self.fields):
            if isinstance(field, JSONText):
                found.append((place, json.loads))
                continue
            column = field.get_col(self.table)
            converters = database.ops.get_db_converters(column) + field.get_db_converters(database)
            found += [(place, _reader(converter, column, database)) for converter in converters]
        self._readers[database.vendor] = found
        return found


def _reader(converter: Callable[..., Any], column: Any, database: BaseDatabaseWrapper) -> Read:
    return lambda value: converter(value, column, database)


def read_both(
    one: Rows[Any], first: tuple[str, Sequence[Any]], other: Rows[Any], second: tuple[str, Sequence[Any]]
) -> tuple[list[Any], list[Any]]:
    """What two statements give, the second after the first, both sent at once where the database can take them so."""
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor != "postgresql":
        return one.read(*first), other.read(*second)
    database.ensure_connection()
    with database.connection.pipeline(), database.cursor() as leading, database.cursor() as following:
        leading.execute(first[0], parameters(first[1], database))
        following.execute(second[0], parameters(second[1], database))
        return one.made_of(leading.fetchall(), database), other.made_of(following.fetchall(), database)


class Gathered:
    """Statements that are to be made together, and what is to be done when they are committed."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.values: list[Any] = []
        self.then: list[Callable[[], Any]] = []

    def make(self, database: BaseDatabaseWrapper) -> None:
        """Make them by one statement, which PostgreSQL does as a whole or not at all."""
        if not self.statements:
            return
        *first, last = self.statements
        parts = ", ".join(f"part{place} AS ({statement})" for place, statement in enumerate(first))
        with database.cursor() as cursor:
            cursor.execute(f"WITH {parts} {last}" if first else last, self.values)


_gathering: ContextVar[Gathered | None] = ContextVar("gathering", default=None)


@contextmanager
def together() -> Iterator[None]:
    """What `Rows` write in the block is written as a whole or not at all; on PostgreSQL by one statement, at its end.

    In the block none of it can be read yet, and no row may be written twice. Everybody else's writes are at once, so
    that there should be none.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor != "postgresql":
        with transaction.atomic(savepoint=False):
            yield
        return
    gathered = Gathered()
    token = _gathering.set(gathered)
    try:
        yield
    finally:
        _gathering.reset(token)
    gathered.make(database)
    for do in gathered.then:
        transaction.on_commit(do, robust=True)


def after_commit(do: Callable[[], Any]) -> None:
    """Do this when what is written now is committed. A failure is told in the log, and nowhere else."""
    gathered = _gathering.get()
    if gathered is None:
        transaction.on_commit(do, robust=True)
    else:
        gathered.then.append(do)


def _write(sql: str, values: list[Any], database: BaseDatabaseWrapper) -> None:
    gathered = _gathering.get()
    if gathered is None:
        with database.cursor() as cursor:
            cursor.execute(sql, values)
    else:
        gathered.statements.append(sql)
        gathered.values += values


def _stored(field: Any, value: Any, database: BaseDatabaseWrapper) -> Any:
    """A field's value as its column takes it."""
    if isinstance(field, JSONText):
        return field.get_prep_value(value)
    if isinstance(value, bytes):
        return field.get_db_prep_value(value, database)
    return database.ops.adapt_datetimefield_value(value) if hasattr(value, "tzinfo") else value


def parameters(values: Sequence[Any], database: BaseDatabaseWrapper) -> list[Any]:
    """Values as a statement's parameters: of those that are used here, times alone differ between databases."""
    adapted = database.ops.adapt_datetimefield_value
    return [adapted(value) if hasattr(value, "tzinfo") else value for value in values]


def _for_update() -> str:
    """What locks the rows of a SELECT; a transaction of SQLite's has the whole file anyway."""
    return " FOR UPDATE" if connections[DEFAULT_DB_ALIAS].features.has_select_for_update else ""
