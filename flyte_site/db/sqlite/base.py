"""The `DatabaseWrapper` that Django loads for this backend.

The file is readable by its owner only, and so are the files that SQLite creates for it. Writes are refused if the file
is deleted or replaced while it is open: they would go to a file without a name.

SQLite allows one writer at a time. Its own busy handler sleeps for up to a tenth of a second between attempts, and a
later writer can overtake. Here the threads of a process share a lock, and the thread that has it tries to lock the file
every millisecond.
"""

import os
import sqlite3
import threading
import time
from contextlib import suppress
from typing import Any

from django.db.backends.sqlite3 import base

RETRY_SECONDS = 0.001
WRITE_PREFIXES = ("BEGIN IMMEDIATE", "INSERT ", "UPDATE ", "DELETE ")
# Another connection writes, or recovers the file after a crash. SQLITE_BUSY_SNAPSHOT is not among them: a transaction
# that began by reading can't succeed by waiting.
BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY)

MISSING_FILE_MESSAGE = "the database file was deleted"
REPLACED_FILE_MESSAGE = "the database file was replaced by another file"

_write_locks: dict[str, threading.Lock] = {}
# Files that this process has opened: SQLite would create an empty one in the place of a deleted one.
_opened_paths: set[str] = set()
_creation_lock = threading.Lock()


def _reset_locks() -> None:
    """Forget the locks in a forked process: it has none of the threads that hold them."""
    global _creation_lock
    _write_locks.clear()
    _creation_lock = threading.Lock()


os.register_at_fork(after_in_child=_reset_locks)


class WriteLockCursor(base.SQLiteCursorWrapper):
    """A cursor that acquires the write lock before BEGIN IMMEDIATE and before a write outside a transaction."""

    wrapper: "DatabaseWrapper"

    def execute(self, query: str, params: Any = None) -> Any:
        if self.connection.in_transaction or not query.startswith(WRITE_PREFIXES):
            return super().execute(query, params)
        self.wrapper.check_file()
        deadline = time.monotonic() + self.wrapper.lock_timeout
        self.wrapper.acquire_write_lock()
        try:
            return self._execute_with_retry(query, params, deadline)
        finally:
            if not self.connection.in_transaction:
                self.wrapper.release_write_lock()

    def _execute_with_retry(self, query: str, params: Any, deadline: float) -> Any:
        """Execute the statement once the file is unlocked. Raise `sqlite3.OperationalError` after the deadline."""
        self.connection.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    return super().execute(query, params)
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode not in BUSY_CODES or time.monotonic() >= deadline:
                        raise
                time.sleep(RETRY_SECONDS)
        finally:
            self.connection.execute(f"PRAGMA busy_timeout = {self.wrapper.lock_timeout * 1000:.0f}")


class DatabaseWrapper(base.DatabaseWrapper):
    """One thread's connection."""

    _write_lock: "threading.Lock | None" = None
    _file_id: tuple[int, int] | None = None

    @property
    def lock_timeout(self) -> float:
        """Seconds to wait for permission to write."""
        return float(self.settings_dict["OPTIONS"].get("timeout", 5.0))

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        path = str(conn_params["database"])
        if path in _opened_paths:
            if not os.path.exists(path):
                raise sqlite3.OperationalError(MISSING_FILE_MESSAGE)
            return self._connect(path, conn_params)
        with _creation_lock:
            _create_private_file(path)
            return self._connect(path, conn_params)

    def _connect(self, path: str, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        self._file_id = _get_file_id(path)
        if self._file_id is not None:
            _opened_paths.add(path)
        return connection

    def check_file(self) -> None:
        """Raise `sqlite3.OperationalError` if the open file is not the one at its path any more.

        The next connection is then made to the file that is there.
        """
        if self._file_id is None:
            return
        current_id = _get_file_id(str(self.settings_dict["NAME"]))
        if current_id != self._file_id:
            self.close()
            raise sqlite3.OperationalError(MISSING_FILE_MESSAGE if current_id is None else REPLACED_FILE_MESSAGE)

    def create_cursor(self, name: str | None = None) -> Any:
        cursor = self.connection.cursor(factory=WriteLockCursor)
        cursor.wrapper = self
        return cursor

    def acquire_write_lock(self) -> None:
        """Wait until no other thread of this process writes. After the timeout, return without the lock: then only
        SQLite's file lock excludes other writers."""
        lock = _write_locks.setdefault(str(self.settings_dict["NAME"]), threading.Lock())
        if self._write_lock is None and lock.acquire(timeout=self.lock_timeout):
            self._write_lock = lock

    def release_write_lock(self) -> None:
        """Let the next thread write."""
        lock, self._write_lock = self._write_lock, None
        if lock is not None:
            lock.release()

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self.release_write_lock()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self.release_write_lock()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self.release_write_lock()


def _create_private_file(path: str) -> None:
    """Create the file for its owner only, if it does not exist. SQLite gives its other files the same mode.

    An existing file must never be opened here: when it is closed, the process loses SQLite's locks on it.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _get_file_id(path: str) -> tuple[int, int] | None:
    """Return device and inode of the file; None if the file does not exist, as for a database in memory."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
