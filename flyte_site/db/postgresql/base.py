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
MAX_CONNECTIONS = 16
ACQUIRE_TIMEOUT_SECONDS = 20.0
# A connection is used for so long: what the database remembers for one grows.
MAX_CONNECTION_AGE_SECONDS = 600.0


class ConnectionPool:
    """The connections of one process that no thread has at the moment: a thread has one for as long as a request.

    So many threads may wait for something to be done, and PostgreSQL has few connections.
    """

    def __init__(self) -> None:
        self._permits = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._idle: deque[tuple[float, Any]] = deque()

    def get(self) -> Any:
        """A connection that was given back, the last one first; None where a new one is to be made."""
        if not self._permits.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS):
            raise OperationalError(f"none of {MAX_CONNECTIONS} connections became free")
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
        """Give one back."""
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
    """From now on the threads of this process have connections together, each for as long as a request.

    To be said once, in a process that serves, before it connects.
    """
    global _process_pool
    connections.settings[DEFAULT_DB_ALIAS]["CONN_MAX_AGE"] = 0
    _process_pool = ConnectionPool()


def is_alive(connection: Any) -> bool:
    """Whether a connection that nobody uses is still there, without asking over it: a database that has gone, or ended
    the connection, leaves something to be read."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


class DatabaseWrapper(base.DatabaseWrapper):
    """One thread's connection. Where they are shared, it is given back when a request is over."""

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
        """A new connection.

        To compile a statement takes PostgreSQL many times as long as any of ours runs, which it does not know where a
        table has no statistics yet. Said here, since poolers refuse it among a connection's parameters.
        """
        connection = super().get_new_connection(conn_params)
        connection.autocommit = True
        connection.execute("SET jit = off")
        return connection

    def _close(self) -> None:
        if self._pool is None or self.connection is None:
            super()._close()  # type: ignore[misc]
        else:
            with self.wrap_database_errors:
                self._pool.put(self.connection)
        self._pool = None

    def is_usable(self) -> bool:
        """As Django's, which asks the database for each request, but only where `is_good` has a doubt."""
        if self.connection is None:
            return False
        return is_alive(self.connection) or bool(super().is_usable())
