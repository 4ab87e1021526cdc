"""What a database reads for a call, which says more than the time that it takes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import connection


def cost(call: Callable[[], Any]) -> int:
    """What the database reads for a call, in this transaction: SQLite's steps, PostgreSQL's rows."""
    if connection.vendor == "sqlite":
        return steps(call)
    before = rows_read()
    call()
    return rows_read() - before


def rows_read() -> int:
    """Rows of tables read through, and rows of indexes, in this transaction of PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class WHERE relkind IN ('r', 'i')"
            " AND relnamespace = 'public'::regnamespace"
        )
        return int(cursor.fetchone()[0])


def statements(queries: Iterable[Mapping[str, str]]) -> list[str]:
    """The captured statements, without those that control transactions."""
    return [" ".join(query["sql"].split()) for query in queries if not controls_transaction(query["sql"])]


def controls_transaction(sql: str) -> bool:
    """Return whether a statement begins or ends a transaction or a savepoint, or sets something for a transaction."""
    return sql.startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET LOCAL"))


def steps(call: Callable[[], Any]) -> int:
    """The steps of SQLite's machine for a call, of which each row takes a few."""
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
