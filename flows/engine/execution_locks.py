"""Requests that wait for one execution: of each process one waits in the database, others without a connection.

Otherwise a transaction that keeps an execution locked would occupy all connections as soon as its results are repeated.
SQLite locks no rows, and needs no limit.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from django.conf import settings
from django.db import connection

from flyte_site.core.runtime import process_wide
from flyte_site.db.conflicts import DatabaseBusyError
from flyte_site.db.postgresql.sessions import get_session_timeouts
from packs.queue.long_poll import release_connection

# An execution whose lock was not released for this time is stalled: then the limit applies.
STALL_SECONDS = 0.25
DEFAULT_PATIENCE_SECONDS = 20.0


class _WaitingLine:
    """The requests for one execution. `since`: when the one that is first in line got its turn."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.members = 0
        self.since = time.monotonic()


class WaitingLines:
    """The requests of this process by execution."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, _WaitingLine] = {}

    @contextmanager
    def enter(self, execution_id: str, limit: int, patience: float | None = None) -> Iterator[None]:
        """Run the block when no other block for this execution runs.

        Raise `DatabaseBusyError` after `patience` seconds (None: as long as for a lock in the database), or at once if
        the execution is stalled and `limit` requests wait for it already.
        """
        with self._lock:
            line = self._lines.setdefault(execution_id, _WaitingLine())
            line.members += 1
        is_member = True
        try:
            if not line.turn.acquire(blocking=False):
                is_member = self._wait(line, limit, get_lock_patience() if patience is None else patience)
                if not is_member:
                    raise DatabaseBusyError("too many requests wait for the same execution; try again")
            line.since = time.monotonic()
            try:
                yield
            finally:
                line.turn.release()
        finally:
            with self._lock:
                line.members -= is_member
                if not line.members:
                    self._lines.pop(execution_id, None)

    def _wait(self, line: _WaitingLine, limit: int, patience: float) -> bool:
        """Wait for the turn, without a database connection; return False if this request has left the line."""
        release_connection()
        deadline = time.monotonic() + patience
        while True:
            now = time.monotonic()
            with self._lock:
                is_too_long = line.members - 1 > limit and now - line.since > STALL_SECONDS
                if is_too_long or now >= deadline:
                    line.members -= 1
                    return False
            if line.turn.acquire(timeout=min(deadline - now, STALL_SECONDS)):
                return True


@process_wide
def waiting_lines() -> WaitingLines:
    return WaitingLines()


def get_lock_patience() -> float:
    """Return the seconds for which a statement of this process waits for a lock."""
    return get_session_timeouts().lock or DEFAULT_PATIENCE_SECONDS


def take_turn(execution_id: str) -> AbstractContextManager[None]:
    """Run the block, which locks this execution, when this process has no other block for it.

    Raise `DatabaseBusyError` if that takes too long, or if too many requests wait.
    """
    if connection.vendor != "postgresql":
        return nullcontext()
    return waiting_lines().enter(execution_id, settings.FLYTE_MAX_WAITING_PER_EXECUTION)
