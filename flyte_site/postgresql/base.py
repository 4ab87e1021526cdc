"""The database backend that the settings name."""

import select
import threading
import time
from collections import deque
from typing import Any

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

# How many connections the threads of one process have together, and how long one is waited for.
MOST = 16
WAIT_SECONDS = 20.0
# A connection is used for so long: what the database remembers for one grows.
LIFE_SECONDS = 600.0


class Spares:
    """The connections of one process that no thread has at the moment: a thread has one for as long as a request.

    So many threads may wait for something to be done, and PostgreSQL has few connections.
    """

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(MOST)
        self._spare: deque[tuple[float, Any]] = deque()

    def get(self) -> Any:
        """A connection that was given back, the last one first; None where a new one is to be made."""
        if not self._free.acquire(timeout=WAIT_SECONDS):
            raise OperationalError(f"none of {MOST} connections became free")
        while self._spare:
            try:
                ends_at, connection = self._spare.pop()
            except IndexError:
                break
            if is_good(connection) and time.monotonic() < ends_at:
                return connection
            connection.close()
        return None

    def put(self, connection: Any) -> None:
        """Give one back."""
        idle = not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE
        if idle and connection.autocommit:
            ends_at = getattr(connection, "ends_at", time.monotonic() + LIFE_SECONDS)
            connection.ends_at = ends_at
            self._spare.append((ends_at, connection))
        else:
            connection.close()
        self.free()

    def free(self) -> None:
        self._free.release()


_shared: Spares | None = None


def share_connections() -> None:
    """From now on the threads of this process have connections together, each for as long as a request.

    To be said once, in a process that serves, before it connects.
    """
    global _shared
    connections.settings[DEFAULT_DB_ALIAS]["CONN_MAX_AGE"] = 0
    _shared = Spares()


def is_good(connection: Any) -> bool:
    """Whether a connection that nobody uses is still there, without asking over it: a database that has gone, or ended
    the connection, leaves something to be read."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


class DatabaseWrapper(base.DatabaseWrapper):
    """One thread's connection. Where they are shared, it is given back when a request is over."""

    _lender: Spares | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if _shared is None or self.alias != DEFAULT_DB_ALIAS:
            return self._connect(conn_params)
        self._lender = _shared
        found = self._lender.get()
        try:
            return found or self._connect(conn_params)
        except BaseException:
            self._lender.free()
            raise

    def _connect(self, conn_params: dict[str, Any]) -> Any:
        """A new connection.

        To compile a statement takes PostgreSQL many times as long as any of ours runs, which it does not know where a
        table has no statistics yet. Said here, since poolers refuse it among a connection's parameters.
        """
        connection = super().get_new_connection(conn_params)
        connection.autocommit = True
        connection.execute("SET jit = off")
        return connection

    def _close(self) -> None:
        if self._lender is None or self.connection is None:
            super()._close()  # type: ignore[misc]
        else:
            with self.wrap_database_errors:
                self._lender.put(self.connection)
        self._lender = None

    def is_usable(self) -> bool:
        """As Django's, which asks the database for each request, but only where `is_good` has a doubt."""
        if self.connection is None:
            return False
        return is_good(self.connection) or bool(super().is_usable())
