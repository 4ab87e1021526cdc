"""Recording of the DELETE statements of a block."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction


@contextmanager
def deletes(table: str) -> Iterator[list[tuple[int, bool]]]:
    """Record for each DELETE from `table` the number of its parameters, and True if it is in a transaction."""
    recorded: list[tuple[int, bool]] = []

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(f'DELETE FROM "{table}"'):
            recorded.append((len(params), connection.in_atomic_block))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        yield recorded


@contextmanager
def deleted_by_transaction() -> Iterator[list[Counter[str]]]:
    """Record for each committed transaction of this thread with DELETE statements the number of rows by table."""
    committed: list[Counter[str]] = []
    current: list[Counter[str]] = []

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("DELETE FROM "):
            if not current:
                current.append(Counter())
                transaction.on_commit(lambda: committed.append(current.pop()))
            current[0][sql.split('"')[1]] += context["cursor"].rowcount
        return result

    with connection.execute_wrapper(record):
        yield committed
