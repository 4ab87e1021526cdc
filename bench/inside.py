"""The server's own code on a database of the bench, without HTTP, and what the database reads for it.

`python -m bench.inside sqlite backlog 100` sets Django up on an empty database in SQLite and runs `bench.backlog`
there: nothing of the server can be imported before.
"""

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import quantiles
from typing import Any

import django
from django.core.management import call_command
from django.db import connection

from bench.stores import store
from tests.reading import steps
from tests.server import fresh_database

_READ = """SELECT
    (SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read) FROM pg_statio_user_tables),
    (SELECT sum(seq_tup_read) FROM pg_stat_user_tables) + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)"""


def spent(call: Callable[[], Any], times: int) -> list[float]:
    """Seconds that each call takes."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return taken


def percentiles(seconds: list[float]) -> dict[str, float]:
    """As milliseconds."""
    cuts = quantiles(seconds, n=100)
    return {"p50 ms": round(cuts[49] * 1000, 2), "p99 ms": round(cuts[98] * 1000, 2)}


def timed(call: Callable[[], Any], times: int) -> dict[str, float]:
    """Milliseconds that a call takes."""
    return percentiles(spent(call, times))


def read(call: Callable[[], Any], times: int) -> dict[str, float]:
    """What the database reads for one call: pages and rows of PostgreSQL, rows by scans and indexes alike; for SQLite,
    which counts neither, the steps of its machine, of which each row takes a few."""
    many = partial(spent, call, times)
    counted = {"steps": float(steps(many))} if connection.vendor == "sqlite" else _rows(many)
    return {name: round(value / times, 1) for name, value in counted.items()}


def _rows(call: Callable[[], Any]) -> dict[str, float]:
    before = _statistics()
    call()
    pages, rows = (float(after - then) for after, then in zip(_statistics(), before, strict=True))
    return {"pages": pages, "rows": rows}


def _statistics() -> tuple[Any, Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT 1")
        cursor.execute(_READ)
        pages, rows = cursor.fetchone()
        return pages, rows


def tell(**row: Any) -> None:
    """Print a row of the table."""
    print(json.dumps(row), flush=True)


def main() -> None:
    """Run the measure that the command line names."""
    with store() as database, fresh_database(database.folder) as url:
        os.environ |= {"FLYTE_DATABASE_URL": url, "LOGLEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "flyte_site.settings"}
        django.setup()
        call_command("migrate", verbosity=0)
        try:
            measure = importlib.import_module(f"bench.{sys.argv[2]}")
            # As the server does before its workers start.
            gc.collect()
            gc.freeze()
            measure.main(database.name, sys.argv[3:])
        finally:
            connection.close()


if __name__ == "__main__":
    main()
