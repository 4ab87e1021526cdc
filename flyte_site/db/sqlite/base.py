"""The `DatabaseWrapper` that Django loads for this backend.

SQLite allows one writer at a time. Its own busy handler sleeps for up to a tenth of a second between attempts, and a
later writer can overtake. Here the threads of a process share a lock, and the thread that has it tries to lock the file
every millisecond.
"""

import os
import sqlite3
import threading
import time
from typing import Any

from django.db.backends.sqlite3 import base

RETRY_SECONDS = 0.001
WRITE_PREFIXES = ("BEGIN IMMEDIATE", "INSERT ", "UPDATE ", "DELETE ")
# Another connection writes, or recovers the file after a crash. SQLITE_BUSY_SNAPSHOT is not among them: a transaction
# that began by reading can't succeed by waiting.
BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY)

_write_locks: dict[str, threading.Lock] = {}
# A forked process has none of the threads that hold a lock.
os.register_at_fork(after_in_child=_write_locks.clear)


class WriteLockCursor(base.SQLiteCursorWrapper):
    """A cursor that acquires the write lock before BEGIN IMMEDIATE and before a write outside a transaction."""

    wrapper: "DatabaseWrapper"

    def execute(self, query: str, params: Any = None) -> Any:
        if self.connection.in_transaction or not query.startswith(WRITE_PREFIXES):
            return super().execute(query, params)
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

    @property
    def lock_timeout(self) -> float:
        """Seconds to wait for permission to write."""
        return float(self.settings_dict["OPTIONS"].get("timeout", 5.0))

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
