"""Databases of benchmarks: SQLite as configured by the server, and PostgreSQL with its defaults.

Unlike the tests' PostgreSQL, both write every commit to disk before they confirm it.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.private_postgres import URL_VARIABLE, private_postgres

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
DISPLAY_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True)
class BenchDatabase:
    """A database. `process` is the process id of its server, 0 for SQLite; `folder` is for temporary files."""

    name: str
    folder: Path
    process: int = 0


@contextmanager
def open_database() -> Iterator[BenchDatabase]:
    """Provide the database that the first argument names, `sqlite` or `postgresql`, during the block.

    `tests.server` creates its databases in it.
    """
    name = sys.argv[1] if len(sys.argv) > 1 else "sqlite"
    with tempfile.TemporaryDirectory(prefix="flyte-bench-") as folder:
        if name == "sqlite":
            os.environ.pop(URL_VARIABLE, None)
            yield BenchDatabase(DISPLAY_NAMES[name], Path(folder))
            return
        with private_postgres(DURABLE) as postgres:
            os.environ[URL_VARIABLE] = postgres.url
            first_line = (postgres.folder / "data" / "postmaster.pid").read_text().split()[0]
            yield BenchDatabase(DISPLAY_NAMES[name], Path(folder), int(first_line))
