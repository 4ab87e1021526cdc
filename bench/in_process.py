"""Benchmarks of the server's code without HTTP, and counters of database reads.

`python -m bench.in_process sqlite backlog 100` sets up Django with an empty SQLite database and then imports and runs
`bench.backlog`, because modules of the server can't be imported before the setup.
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

from bench.databases import open_database
from tests.reading import steps
from tests.server import fresh_database

_READ_STATISTICS = """SELECT
    (SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read) FROM pg_statio_user_tables),
    (SELECT sum(seq_tup_read) FROM pg_stat_user_tables) + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)"""


def time_calls(call: Callable[[], Any], times: int) -> list[float]:
    """Measure the seconds of each call."""
    durations = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return durations


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile in milliseconds."""
    cuts = quantiles(seconds, n=100)
    return {"p50 ms": round(cuts[49] * 1000, 2), "p99 ms": round(cuts[98] * 1000, 2)}


def time_percentiles(call: Callable[[], Any], times: int) -> dict[str, float]:
    """Measure the median and the 99th percentile of a call in milliseconds."""
    return percentiles(time_calls(call, times))


def count_reads(call: Callable[[], Any], times: int) -> dict[str, float]:
    """Count the database reads of one call.

    For PostgreSQL, these are pages, and rows from scans and indexes. SQLite counts neither: for it, they are steps of
    its virtual machine, a few for each row.
    """
    repeat = partial(time_calls, call, times)
    counted = {"steps": float(steps(repeat))} if connection.vendor == "sqlite" else _count_postgresql_reads(repeat)
    return {name: round(value / times, 1) for name, value in counted.items()}


def _count_postgresql_reads(call: Callable[[], Any]) -> dict[str, float]:
    before = _read_statistics()
    call()
    pages, rows = (float(after - earlier) for after, earlier in zip(_read_statistics(), before, strict=True))
    return {"pages": pages, "rows": rows}


def _read_statistics() -> tuple[Any, Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT 1")
        cursor.execute(_READ_STATISTICS)
        pages, rows = cursor.fetchone()
        return pages, rows


def print_row(**row: Any) -> None:
    """Print a row of the table as JSON."""
    print(json.dumps(row), flush=True)


def main() -> None:
    """Run the benchmark that the second argument names."""
    with open_database() as database, fresh_database(database.folder) as url:
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
