"""The databases that are measured: SQLite as the server sets it up, PostgreSQL with its own defaults.

The tests' PostgreSQL may lose what it committed; here every commit is on the disk before it is answered, on both.
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
    """One database. `process` is its server's process id, 0 where it has none; in `folder` there may lie files."""

    name: str
    folder: Path
    process: int = 0


@contextmanager
def open_database() -> Iterator[BenchDatabase]:
    """The database that the command line names, `sqlite` or `postgresql`, while the block runs.

    `tests.server` makes its databases in it.
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
