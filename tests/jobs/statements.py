"""What a piece of code sends to the database."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction


@contextmanager
def deletes(table: str) -> Iterator[list[tuple[int, bool]]]:
    """Of each DELETE from `table`: how many parameters it has, and whether it stands in a transaction."""
    seen: list[tuple[int, bool]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(f'DELETE FROM "{table}"'):
            seen.append((len(params), connection.in_atomic_block))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield seen


@contextmanager
def deleted_by_transaction() -> Iterator[list[Counter[str]]]:
    """Of each transaction of this thread that deleted something and is committed: how many rows from which table."""
    committed: list[Counter[str]] = []
    current: list[Counter[str]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("DELETE FROM "):
            if not current:
                current.append(Counter())
                transaction.on_commit(lambda: committed.append(current.pop()))
            current[0][sql.split('"')[1]] += context["cursor"].rowcount
        return result

    with connection.execute_wrapper(note):
        yield committed
