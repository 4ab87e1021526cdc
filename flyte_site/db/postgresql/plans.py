"""Query plans that do not depend on PostgreSQL's statistics."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

_WITHOUT_SCANS = "SET LOCAL enable_seqscan = off"
_IN_INDEX_ORDER = f"{_WITHOUT_SCANS}; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"


@contextmanager
def index_order() -> Iterator[None]:
    """Make PostgreSQL read each table by an index in the order of the statement, whatever it estimates.

    For statements with a LIMIT and an ORDER BY that only one index has. PostgreSQL's choice follows estimates, and can
    read a whole table for a few rows: after a backlog, while the index is larger than its contents; while statistics
    are out of date; or if all matching rows are at the end, since it assumes that they are spread evenly. The block can
    only read: it ends with a rollback, which also resets the settings. On SQLite, whose plans do not depend on
    estimates here, nothing changes.
    """
    with _planner_settings(_IN_INDEX_ORDER):
        yield


@contextmanager
def index_lookups() -> Iterator[None]:
    """Let PostgreSQL read no whole table where an index has the rows, whatever it estimates; sorting is allowed.

    For look-ups of some rows by their keys. While the statistics say that a table is empty or unknown, PostgreSQL
    prefers to read all of it. Like `index_order`, the block can only read.
    """
    with _planner_settings(_WITHOUT_SCANS):
        yield


@contextmanager
def _planner_settings(settings: str) -> Iterator[None]:
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(settings)
        yield
        transaction.set_rollback(True)
