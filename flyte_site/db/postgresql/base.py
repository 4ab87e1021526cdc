"""The `DatabaseWrapper` that Django loads for this backend."""

import select
import threading
import time
from collections import deque
from typing import Any

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from flyte_site.db.postgresql.sessions import build_session_settings, use_request_timeouts

# Connections of all threads of one process, and the time for which a thread waits for one.
MAX_CONNECTIONS = 16
ACQUIRE_TIMEOUT_SECONDS = 20.0
# One statement, since poolers reject settings among the parameters of a connection.
_SET_SESSION_SQL = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)"
# A connection is replaced after this time: the memory that the database holds for it grows.
MAX_CONNECTION_AGE_SECONDS = 600.0


class ConnectionPool:
    """The idle connections of one process. A thread uses one for the duration of a request.

    PostgreSQL has few connections, and many threads wait in long polls, which need none.
    """

    def __init__(self) -> None:
        self._permits = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._idle: deque[tuple[float, Any]] = deque()

    def get(self) -> Any:
        """Return the connection that was put back last, or None if the caller has to open one.

        Raise `OperationalError` if no connection becomes free in time.
        """
        if not self._permits.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS):
            timeout = f"{ACQUIRE_TIMEOUT_SECONDS:.0f} s"
            raise OperationalError(f"no free database connection in {timeout} (limit: {MAX_CONNECTIONS} per process)")
        while self._idle:
            try:
                ends_at, connection = self._idle.pop()
            except IndexError:
                break
            if is_alive(connection) and time.monotonic() < ends_at:
                return connection
            connection.close()
        return None

    def put(self, connection: Any) -> None:
        """Return a connection to the pool."""
        is_idle = not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE
        if is_idle and connection.autocommit:
            ends_at = getattr(connection, "expires_at", time.monotonic() + MAX_CONNECTION_AGE_SECONDS)
            connection.ends_at = ends_at
            self._idle.append((ends_at, connection))
        else:
            connection.close()
        self.release()

    def release(self) -> None:
        self._permits.release()


_process_pool: ConnectionPool | None = None


def use_connection_pool() -> None:
    """Let the threads of this process share a connection pool, with the timeouts of requests.

    Call this once, in a web process, before it connects.
    """
    global _process_pool
    connections.settings[DEFAULT_DB_ALIAS]["CONN_MAX_AGE"] = 0
    _process_pool = ConnectionPool()
    use_request_timeouts()


def is_alive(connection: Any) -> bool:
    """Check an idle connection without a round trip: if the database has closed it, its socket is readable."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


class DatabaseWrapper(base.DatabaseWrapper):
    """One thread's connection. If the process has a pool, it is put back at the end of a request."""

    _pool: ConnectionPool | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if _process_pool is None or self.alias != DEFAULT_DB_ALIAS:
            return self._connect(conn_params)
        self._pool = _process_pool
        pooled = self._pool.get()
        try:
            return pooled or self._connect(conn_params)
        except BaseException:
            self._pool.release()
            raise

    def _connect(self, conn_params: dict[str, Any]) -> Any:
        """Open a connection with our settings of its session."""
        connection = super().get_new_connection(conn_params)
        connection.autocommit = True
        session_settings = build_session_settings()
        connection.execute(_SET_SESSION_SQL, [list(session_settings), list(session_settings.values())])
        return connection

    def _close(self) -> None:
        if self._pool is None or self.connection is None:
            super()._close()  # type: ignore[misc]
        else:
            with self.wrap_database_errors:
                self._pool.put(self.connection)
        self._pool = None

    def is_usable(self) -> bool:
        """Check the connection by its socket; send a query, as Django does for each request, only if that fails."""
        if self.connection is None:
            return False
        return is_alive(self.connection) or bool(super().is_usable())
