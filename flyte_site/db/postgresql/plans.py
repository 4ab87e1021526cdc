"""Plans that PostgreSQL's statistics can't spoil."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

_SETTINGS = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"


@contextmanager
def index_order() -> Iterator[None]:
    """Let PostgreSQL read each table by an index in the order that the statement asks for, whatever it estimates.

    For statements with an ORDER BY that one index alone has, and a LIMIT. PostgreSQL's own choice follows estimates,
    and may read a whole table for a few rows: after a backlog, while its index is larger than its contents; while the
    statistics are older than the contents; or where the rows that match are all at the end, since it takes them to be
    spread evenly. The block can only read: it ends with a rollback, which also ends the settings. Nothing changes on
    SQLite, whose plans don't follow estimates here.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_SETTINGS)
        yield
        transaction.set_rollback(True)
