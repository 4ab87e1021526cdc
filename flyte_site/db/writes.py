"""Units of work: writes that are committed together, and callbacks that run after the commit.

A function that writes takes a `Writes` object: its caller decides if the writes are batched or made at once.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from types import TracebackType
from typing import Any, Protocol

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections, transaction

from flyte_site.db.large_values import LargeValueWriter

DATABASE_UNAVAILABLE = (OperationalError, InterfaceError)
"""Failures of the database itself. A caller can retry; nothing that was being written caused them."""


class Writes(Protocol):
    """Receiver of SQL statements that write, and of callbacks that run after their commit.

    `large_values` encodes large documents for these statements; its own statements are executed before the next one.
    """

    large_values: LargeValueWriter

    def execute(self, sql: str, values: Sequence[Any]) -> None:
        """Write by a statement with `%s` for each value."""

    def on_commit(self, callback: Callable[[], Any]) -> None:
        """Run the callback after the commit. If it fails, the error is logged and not raised."""

    def isolate(self, on_failure: Callable[[Exception], None]) -> AbstractContextManager[None]:
        """Guard a block against a failure of its writes, if this receiver can undo the block by itself."""


class DirectWrites:
    """Writes that are executed at once, in the caller's transaction.

    `isolate` is a savepoint: if its block fails, only the block's writes are undone, and `on_failure` gets the error.
    """

    def __init__(self) -> None:
        self.large_values = LargeValueWriter()

    def execute(self, sql: str, values: Sequence[Any]) -> None:
        _execute(self.large_values, sql, values)

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
            self.large_values = LargeValueWriter()  # those that the block wrote were undone, too
            on_failure(error)


class WriteBatch:
    """Writes that are made as a whole or not at all: by one statement at the end of the block on PostgreSQL, in a
    transaction on SQLite.

    Inside the block none of them can be read, and no row may be written twice. `isolate` isolates nothing: a failure
    ends the block, and nothing is written.
    """

    def __init__(self) -> None:
        self.large_values = LargeValueWriter()
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
            _execute(self.large_values, sql, values)

    def on_commit(self, callback: Callable[[], Any]) -> None:
        self._callbacks.append(callback)

    def isolate(self, on_failure: Callable[[Exception], None]) -> AbstractContextManager[None]:
        return nullcontext()

    def _flush(self) -> None:
        """Execute all statements as one, which PostgreSQL makes as a whole or not at all."""
        large_statements = self.large_values.take_statements()
        *leading, final = [*(sql for sql, _ in large_statements), *self._statements]
        values = [*chain.from_iterable(values for _, values in large_statements), *self._values]
        parts = ", ".join([f"part{index} AS ({statement})" for index, statement in enumerate(leading)])
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(f"WITH {parts} {final}" if leading else final, values)


def _execute(large_values: LargeValueWriter, sql: str, values: Sequence[Any]) -> None:
    """Execute a statement at once, after those of its large values."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        for statement in large_values.take_statements():
            cursor.execute(*statement)
        cursor.execute(sql, values)
