"""The database backend that the settings name.

One writes at a time. SQLite lets the others sleep, the longer the oftener they asked, up to a tenth of a second, while
whoever comes just then goes first. Here the threads of one process have turns, and the one whose turn it is asks for
the file's lock every millisecond.
"""

import os
import sqlite3
import threading
import time
from typing import Any

from django.db.backends.sqlite3 import base

PAUSE_SECONDS = 0.001
WRITES = ("BEGIN IMMEDIATE", "INSERT ", "UPDATE ", "DELETE ")
# Somebody else writes, or mends the file after a crash. Not what a transaction that began by reading meets: that fails.
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY)

_turns: dict[str, threading.Lock] = {}
# A forked process has none of the threads that hold a turn.
os.register_at_fork(after_in_child=_turns.clear)


class Cursor(base.SQLiteCursorWrapper):
    """Waits for the turn before a transaction begins, and before a statement that writes without one."""

    wrapper: "DatabaseWrapper"

    def execute(self, query: str, params: Any = None) -> Any:
        if self.connection.in_transaction or not query.startswith(WRITES):
            return super().execute(query, params)
        ends_at = time.monotonic() + self.wrapper.patience
        self.wrapper.take_turn()
        try:
            return self._asked_again(query, params, ends_at)
        finally:
            if not self.connection.in_transaction:
                self.wrapper.end_turn()

    def _asked_again(self, query: str, params: Any, ends_at: float) -> Any:
        """The statement, as soon as nobody else writes. Raises `sqlite3.OperationalError` where that lasts too long."""
        self.connection.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    return super().execute(query, params)
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode not in BUSY or time.monotonic() >= ends_at:
                        raise
                time.sleep(PAUSE_SECONDS)
        finally:
            self.connection.execute(f"PRAGMA busy_timeout = {self.wrapper.patience * 1000:.0f}")


class DatabaseWrapper(base.DatabaseWrapper):
    """One thread's connection."""

    _turn: "threading.Lock | None" = None

    @property
    def patience(self) -> float:
        """For how many seconds one waits to write."""
        return float(self.settings_dict["OPTIONS"].get("timeout", 5.0))

    def create_cursor(self, name: str | None = None) -> Any:
        cursor = self.connection.cursor(factory=Cursor)
        cursor.wrapper = self
        return cursor

    def take_turn(self) -> None:
        """Wait until no other thread of this process writes, or for as long as one may: then SQLite's word counts."""
        turn = _turns.setdefault(str(self.settings_dict["NAME"]), threading.Lock())
        if self._turn is None and turn.acquire(timeout=self.patience):
            self._turn = turn

    def end_turn(self) -> None:
        """Let the next one write."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self.end_turn()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self.end_turn()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self.end_turn()
