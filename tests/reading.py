"""Reads of the database for a call, a more stable measure than its time."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import connection


def cost(call: Callable[[], Any]) -> int:
    """Return the cost of a call in this transaction: SQLite's steps, or the rows that PostgreSQL reads."""
    if connection.vendor == "sqlite":
        return steps(call)
    before = rows_read()
    call()
    return rows_read() - before


def rows_read() -> int:
    """Return the number of rows that PostgreSQL has read from tables and indexes in this transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class WHERE relkind IN ('r', 'i')"
            " AND relnamespace = 'public'::regnamespace"
        )
        return int(cursor.fetchone()[0])


def statements(queries: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the captured statements, without those that control transactions."""
    return [" ".join(query["sql"].split()) for query in queries if not controls_transaction(query["sql"])]


def controls_transaction(sql: str) -> bool:
    """Return whether a statement begins or ends a transaction or a savepoint, or sets something for a transaction."""
    return sql.startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET LOCAL"))


def steps(call: Callable[[], Any]) -> int:
    """Return the steps of SQLite's virtual machine for a call; each row takes a few."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    connection.ensure_connection()
    connection.connection.set_progress_handler(step, 1)
    try:
        call()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return count
