"""What a piece of code sends to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


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
