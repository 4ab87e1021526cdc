"""The lock of migrations: of several processes that migrate a database at the same time, one works and others wait."""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

# A number that no other program locks in this database.
ADVISORY_LOCK_ID = 0x466C797465
# How often a waiting process tries again. A statement that waits would end at the session's `lock_timeout`.
RETRY_SECONDS = 0.2
WAITING_NOTICE = "flyte: another process is migrating this database; waiting until it has finished"


def lock_migrations(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Hold the lock of the database's migrations; wait for it, and print that, if another process holds it.

    A lock ends with its process. A database in memory has no lock, because it belongs to its process.
    """
    if connection.vendor == "postgresql":
        return _advisory_lock(connection)
    return _folder_lock(connection)


@contextmanager
def _advisory_lock(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Hold a lock that belongs to the connection: it is released if the process ends."""

    def execute(function: str) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s)", [ADVISORY_LOCK_ID])
            return cursor.fetchone()[0]

    _wait_for(lambda: bool(execute("pg_try_advisory_lock")))
    try:
        yield
    finally:
        execute("pg_advisory_unlock")


@contextmanager
def _folder_lock(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Lock the folder of SQLite's file, which exists before the file, so that no lock file is needed."""
    name = str(connection.settings_dict["NAME"])
    if connection.is_in_memory_db():  # type: ignore[attr-defined]
        yield
        return
    folder_fd = os.open(Path(name).absolute().parent, os.O_RDONLY)
    try:
        _wait_for(lambda: _try_flock(folder_fd))
        yield
    finally:
        os.close(folder_fd)


def _try_flock(folder_fd: int) -> bool:
    try:
        fcntl.flock(folder_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for(try_lock: Callable[[], bool]) -> None:
    if try_lock():
        return
    print(WAITING_NOTICE, file=sys.stderr, flush=True)
    while not try_lock():
        time.sleep(RETRY_SECONDS)
