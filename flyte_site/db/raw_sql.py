"""Statements that querysets can't express: run them, and convert what a plain cursor returns."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection


def fetch_all(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement and return all of its rows. Raise `django.db.Error`."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def placeholders(rows: int, columns: int = 1) -> str:
    """Return the rows of a VALUES list, e.g. `(%s, %s), (%s, %s)`."""
    row = f"({', '.join(['%s'] * columns)})"
    return ", ".join([row] * rows)


def to_datetime(value: datetime | str) -> datetime:
    """Convert a datetime of a plain cursor: SQLite returns text in UTC, and for a plain column a naive datetime."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
