"""Prepared SQL for the rows of a model, and the units of work that write them.

Every event, take and result uses these statements: for them, building a query by Django's ORM costs several times as
much as the database's work. Everything else uses querysets. The fields' own conversions apply here too, so that both
write the same rows.

A unit of work is a `Writes` object: writes that are committed together, and callbacks that run after the commit. A
function that writes takes one, so that its caller decides if the writes are batched or made at once.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from itertools import chain
from types import TracebackType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from flyte_site.db.fields import TextJSONField, encode_json
from flyte_site.db.large_values import (
    MIN_LARGE_BYTES,
    REFERENCE_MARK,
    LargeJSONField,
    LargeValueLoader,
    LargeValueWriter,
    Statement,
    StoredDocument,
)

MAX_CACHED_STATEMENTS = 256
M = TypeVar("M", bound=models.Model)
Converter = Callable[[Any], Any]

DATABASE_UNAVAILABLE = (OperationalError, InterfaceError)
"""Failures of the database itself. A caller can retry; nothing that was being written caused them."""


class Writes(Protocol):
    """Receiver of SQL statements that write, and of callbacks that run after their commit."""

    def encode_document(self, value: Any, field: LargeJSONField, row: models.Model) -> str:
        """Encode a document for these statements. Its large parts are written before the next statement."""

    def execute(self, sql: str, values: Sequence[Any]) -> None:
        """Write by a statement with `%s` for each value."""

    def on_commit(self, callback: Callable[[], Any]) -> None:
        """Run the callback after the commit. If it fails, the error is logged and not raised."""

    def isolate(self, on_failure: Callable[[Exception], None]) -> AbstractContextManager[None]:
        """Guard a block against a failure of its writes, if this receiver can undo the block by itself."""


class _DocumentEncoder:
    """The documents of a unit of work: the large ones have a writer, which most units of work don't need."""

    def __init__(self) -> None:
        self._large_values: LargeValueWriter | None = None

    def encode_document(self, value: Any, field: LargeJSONField, row: models.Model) -> str:
        if self._large_values is not None:
            return self._large_values.encode(value, field.get_owner(row))
        text = encode_json(value)
        if len(text) < MIN_LARGE_BYTES:
            return text
        self._large_values = LargeValueWriter()
        return self._large_values.encode(value, field.get_owner(row), text)

    def _take_large_values(self) -> list[Statement]:
        """Return the statements that write the large parts of the documents since the last call."""
        return self._large_values.take_statements() if self._large_values else []

    def _execute_now(self, sql: str, values: Sequence[Any]) -> None:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            for statement in self._take_large_values():
                cursor.execute(*statement)
            cursor.execute(sql, values)


class DirectWrites(_DocumentEncoder):
    """Writes that are executed at once, in the caller's transaction.

    `isolate` is a savepoint: if its block fails, only the block's writes are undone, and `on_failure` gets the error.
    """

    def execute(self, sql: str, values: Sequence[Any]) -> None:
        self._execute_now(sql, values)

    def on_commit(self, callback: Callable[[], Any]) -> None:
        transaction.on_commit(callback, robust=True)

    @contextmanager
    def isolate(self, on_failure: Callable[[Exception], None]) -> Iterator[None]:
        try:
            with transaction.atomic():
                yield
        except DATABASE_UNAVAILABLE:
            raise
        except Exception as error:
            self._large_values = None  # those that the block wrote were undone, too
            on_failure(error)


class WriteBatch(_DocumentEncoder):
    """Writes that are made as a whole or not at all: by one statement at the end of the block on PostgreSQL, in a
    transaction on SQLite.

    Inside the block none of them can be read, and no row may be written twice. `isolate` isolates nothing: a failure
    ends the block, and nothing is written.
    """

    def __init__(self) -> None:
        super().__init__()
        database = connections[DEFAULT_DB_ALIAS]
        self._is_single_statement = database.vendor == "postgresql"
        self._transaction = nullcontext() if self._is_single_statement else transaction.atomic(savepoint=False)
        self._statements: list[str] = []
        self._values: list[Any] = []
        self._callbacks: list[Callable[[], Any]] = []

    def __enter__(self) -> "WriteBatch":
        self._transaction.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None and self._statements:
            self._flush()
        self._transaction.__exit__(kind, error, traceback)
        if error is None:
            for callback in self._callbacks:
                transaction.on_commit(callback, robust=True)

    def execute(self, sql: str, values: Sequence[Any]) -> None:
        if self._is_single_statement:
            self._statements.append(sql)
            self._values += values
        else:
            self._execute_now(sql, values)

    def on_commit(self, callback: Callable[[], Any]) -> None:
        self._callbacks.append(callback)

    def isolate(self, on_failure: Callable[[Exception], None]) -> AbstractContextManager[None]:
        return nullcontext()

    def _flush(self) -> None:
        """Execute all statements as one, which PostgreSQL makes as a whole or not at all."""
        large_statements = self._take_large_values()
        *leading, final = [*(sql for sql, _ in large_statements), *self._statements]
        values = [*chain.from_iterable(values for _, values in large_statements), *self._values]
        parts = ", ".join([f"part{index} AS ({statement})" for index, statement in enumerate(leading)])
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(f"WITH {parts} {final}" if leading else final, values)


class Query(NamedTuple):
    """A SELECT statement, its values, and the function that builds rows from its records; None for plain records."""

    sql: str
    values: Sequence[Any]
    build_rows: Callable[[Sequence[Any], BaseDatabaseWrapper], list[Any]] | None = None


class TableSQL(Generic[M]):
    """SQL for the table of one model. Conditions are SQL on its columns, with `%s` for each value.

    `excluded` fields are not selected; a row loads such a field when it is accessed.
    """

    def __init__(self, model: type[M], excluded: Collection[str] = ()) -> None:
        self.model = model
        self.fields = [field for field in model._meta.concrete_fields if field.attname not in excluded]
        self.table = model._meta.db_table
        self._large_fields = [
            (index, field.attname) for index, field in enumerate(self.fields) if isinstance(field, LargeJSONField)
        ]
        self._value_indexes = [
            self.fields.index(field) if field in self.fields else None for field in model._meta.concrete_fields
        ]
        self.columns = ", ".join(str(field.column) for field in self.fields)
        self._select_prefix = f"SELECT {self.columns} FROM {self.table} WHERE "  # noqa: S608
        self._insert_cache: dict[tuple[Any, ...], str] = {}
        self._update_cache: dict[tuple[str, ...], tuple[str, list[Any]]] = {}
        self._converters: dict[str, list[tuple[int, Converter]]] = {}

    def select(self, condition: str, *values: Any, lock: bool = False, skip_locked: bool = False) -> list[M]:
        """Select the rows that match the condition, which can include an order and a limit.

        With `lock`, lock them until the end of the transaction, on databases that lock rows. With `skip_locked` too,
        leave out the rows that another transaction has locked.
        """
        query = self.query(condition, *values, lock=lock, skip_locked=skip_locked)
        return self.fetch(query.sql, query.values)

    def select_first(self, condition: str, *values: Any, lock: bool = False, skip_locked: bool = False) -> M | None:
        """Select the first matching row, or None."""
        return next(iter(self.select(condition, *values, lock=lock, skip_locked=skip_locked)), None)

    def query(self, condition: str, *values: Any, lock: bool = False, skip_locked: bool = False) -> Query:
        """Build the statement of `select`."""
        sql = self._select_prefix + condition + (_lock_clause(skip_locked) if lock else "")
        return Query(sql, values, self.hydrate)

    def fetch(self, sql: str, values: Sequence[Any]) -> list[M]:
        """Execute a statement that returns `columns` in their order, and build its rows."""
        database = connections[DEFAULT_DB_ALIAS]
        with database.cursor() as cursor:
            cursor.execute(sql, to_parameters(values, database))
            return self.hydrate(cursor.fetchall(), database)

    def hydrate(self, records: Sequence[Sequence[Any]], database: BaseDatabaseWrapper) -> list[M]:
        """Build model instances from database records."""
        readers = self._converters.get(database.vendor) or self._build_converters(database)
        rows, loader = [], None
        for record in records:
            values = list(record)
            for index, convert in readers:
                if values[index] is not None:
                    values[index] = convert(values[index])
            documents = {}
            for index, name in self._large_fields:
                text = values[index]
                if text is None or not text.startswith(REFERENCE_MARK):
                    values[index] = text and json.loads(text)
                else:
                    documents[name] = StoredDocument(text)
                    documents[name].loader = loader = loader or LargeValueLoader()
                    values[index] = models.DEFERRED
            row = self.model(*[models.DEFERRED if index is None else values[index] for index in self._value_indexes])
            row._state.adding, row._state.db = False, database.alias
            if documents:
                row.keep_documents(documents)  # type: ignore[attr-defined]
            rows.append(row)
        return rows

    def insert(self, writes: Writes, rows: Sequence[M]) -> None:
        """Insert new rows."""
        if not rows:
            return
        database = connections[DEFAULT_DB_ALIAS]
        records = [row.__dict__ for row in rows]
        fields = [field for field in self.fields if any(record[field.attname] is not None for record in records)]
        values = [_to_column_value(field, row, database, writes) for row in rows for field in fields]
        writes.execute(self._insert_statement(fields, len(rows)), values)
        for row in rows:
            row._state.adding, row._state.db = False, database.alias

    def update(self, writes: Writes, row: M, *names: str) -> None:
        """Update these fields of a row."""
        writes.execute(*self._update_statement(row, names, connections[DEFAULT_DB_ALIAS], writes))

    def update_if(self, condition: str, condition_values: Sequence[Any], row: M, *names: str) -> bool:
        """Update these fields of a row at once; return False if the row does not exist or not meet the condition."""
        database = connections[DEFAULT_DB_ALIAS]
        sql, values = self._update_statement(row, names, database)
        with database.cursor() as cursor:
            cursor.execute(f"{sql} AND {condition}", [*values, *to_parameters(condition_values, database)])
            return bool(cursor.rowcount == 1)

    def _insert_statement(self, fields: Sequence[Any], count: int) -> str:
        """Return the statement that inserts `count` rows with these fields; the other fields are NULL.

        NULL fields are left out, since psycopg prepares only statements with few values.
        """
        key = (count, *[field.attname for field in fields])
        statement = self._insert_cache.get(key)
        if statement is None:
            columns, placeholders = ", ".join(field.column for field in fields), ", ".join(["%s"] * len(fields))
            value_lists = ", ".join([f"({placeholders})"] * count)
            statement = f"INSERT INTO {self.table} ({columns}) VALUES {value_lists}"  # noqa: S608
            if len(self._insert_cache) < MAX_CACHED_STATEMENTS:
                self._insert_cache[key] = statement
        return statement

    def _update_statement(
        self, row: M, names: tuple[str, ...], database: BaseDatabaseWrapper, writes: Writes | None = None
    ) -> tuple[str, list[Any]]:
        """Return the statement that updates these fields of a row, and its values."""
        cached = self._update_cache.get(names)
        if cached is None:
            fields: list[Any] = [self.model._meta.get_field(name) for name in names]
            assignments = ", ".join(f"{field.column} = %s" for field in fields)
            cached = self._update_cache[names] = (f"UPDATE {self.table} SET {assignments} WHERE id = %s", fields)  # noqa: S608
        sql, fields = cached
        return sql, [*[_to_column_value(field, row, database, writes) for field in fields], row.pk]

    def _build_converters(self, database: BaseDatabaseWrapper) -> list[tuple[int, Converter]]:
        """Build the converters from database values, each with the index of its column."""
        indexed_converters: list[tuple[int, Converter]] = []
        for index, field in enumerate(self.fields):
            if isinstance(field, LargeJSONField):
                continue
            if isinstance(field, TextJSONField):
                indexed_converters.append((index, json.loads))
                continue
            column = field.get_col(self.table)
            converters = database.ops.get_db_converters(column) + field.get_db_converters(database)
            indexed_converters += [(index, _bind_converter(converter, column, database)) for converter in converters]
        self._converters[database.vendor] = indexed_converters
        return indexed_converters


def _bind_converter(converter: Callable[..., Any], column: Any, database: BaseDatabaseWrapper) -> Converter:
    return lambda value: converter(value, column, database)


def select_pipelined(*queries: Query) -> list[list[Any]]:
    """Execute SELECT statements in order, on PostgreSQL in one round trip, and return the rows of each."""
    database = connections[DEFAULT_DB_ALIAS]
    is_pipelined = database.vendor == "postgresql" and len(queries) > 1
    if is_pipelined:
        database.close_if_health_check_failed()
        database.ensure_connection()
    with database.connection.pipeline() if is_pipelined else nullcontext(), ExitStack() as cursors:
        executed = []
        for query in queries:
            cursor = cursors.enter_context(database.cursor())
            cursor.execute(query.sql, to_parameters(query.values, database))
            executed.append((cursor, query.build_rows))
        return [build(rows, database) if build else rows for rows, build in [(c.fetchall(), b) for c, b in executed]]


def _to_column_value(field: Any, row: models.Model, database: BaseDatabaseWrapper, writes: Writes | None) -> Any:
    """Convert the value of a row's field to a parameter of its column. Large values are written by `writes`."""
    value = getattr(row, field.attname)
    if isinstance(field, TextJSONField):
        if value is None:
            return None
        if writes is not None and isinstance(field, LargeJSONField):
            return writes.encode_document(value, field, row)
        return encode_json(value)
    if isinstance(value, bytes):
        return field.get_db_prep_value(value, database)
    return database.ops.adapt_datetimefield_value(value) if hasattr(value, "tzinfo") else value


def to_parameters(values: Sequence[Any], database: BaseDatabaseWrapper) -> list[Any]:
    """Convert values to parameters of a statement: of the types used here, only times differ between databases."""
    adapted = database.ops.adapt_datetimefield_value
    return [adapted(value) if hasattr(value, "tzinfo") else value for value in values]


def _lock_clause(skip_locked: bool) -> str:
    """Return the clause that locks the rows of a SELECT; '' on SQLite, where a transaction locks the whole file."""
    if not connections[DEFAULT_DB_ALIAS].features.has_select_for_update:
        return ""
    return " FOR UPDATE SKIP LOCKED" if skip_locked else " FOR UPDATE"
