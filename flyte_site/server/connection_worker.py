"""A gunicorn worker that uses a thread for a request only after it has arrived, and limits connections."""

import errno
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from selectors import EVENT_READ
from typing import Any

import structlog
from django.conf import settings
from gunicorn.http.errors import (  # type: ignore[attr-defined]
    InvalidResponseHeader,
    InvalidResponseHeaderName,
)
from gunicorn.workers.gthread import ThreadWorker

from flyte_site.http.input.body import CLOSE_CONNECTION_KEY
from flyte_site.server.connections import (
    MAX_REQUEST_LINE_BYTES,
    READ_BYTES,
    AddressCounts,
    ClientConnection,
    ConnectionLimits,
    MissingHostError,
    Readiness,
    ResponseSocket,
    send_and_close,
)
from flyte_site.server.invalid_requests import build_problem, describe_invalid_request

log = structlog.get_logger(__name__)

TEMPORARY_ACCEPT_ERRORS = (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK)
NO_FILES_ERRORS = (errno.EMFILE, errno.ENFILE)
# A connection that has waited this long for a head is closed first if there are too many.
MIN_EVICTION_SECONDS = 1.0
LOG_INTERVAL_SECONDS = 60.0
# A client that is still sending sees the response only after it has sent all: so much is received and discarded.
LINGER_SECONDS, MAX_LINGER_BYTES = 10.0, 64 * 1024 * 1024
STOP_LINGER_SECONDS = 2.0
# The time that a thread waits for the rest of a body that was not read, to use the connection again.
DISCARD_SECONDS = 0.25
TOO_MANY_CONNECTIONS = build_problem(
    503, "too many connections from this address (FLYTE_WEB_CONNECTIONS_PER_ADDRESS); reuse connections"
)
HEAD_TIMED_OUT = build_problem(
    408, "the request's headers and body did not arrive in time (FLYTE_HEADER_TIMEOUT_SECONDS)"
)


@dataclass
class ResponseTarget:
    """The parts of a connection that gunicorn needs for a response."""

    sock: Any
    client: Any
    server: Any


def build_limits() -> ConnectionLimits:
    """Build the limits of this process from the settings."""
    return ConnectionLimits(
        max_connections_per_address=settings.FLYTE_WEB_CONNECTIONS_PER_ADDRESS,
        max_head_bytes=settings.FLYTE_MAX_HEADER_BYTES + MAX_REQUEST_LINE_BYTES,
        head_seconds=settings.FLYTE_HEADER_TIMEOUT_SECONDS,
        io_seconds=settings.FLYTE_CLIENT_TIMEOUT_SECONDS,
    )


def allow_closing(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Wrap a WSGI application so that it can close the connection after the response: gunicorn ignores the header."""

    def wrapper(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[CLOSE_CONNECTION_KEY] = start_response.__self__.force_close
        return application(environ, start_response)

    return wrapper


class ConnectionWorker(ThreadWorker):
    """A worker whose idle and slow connections wait in the event loop instead of in threads.

    If there are too many connections, it closes the one that has been idle for the longest time.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = build_limits()
        self.address_counts = AddressCounts()
        self.lingering_conns: deque[ClientConnection] = deque()
        self._next_log_at: dict[str, float] = {}

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi = allow_closing(self.wsgi)

    def accept(self, listener: Any) -> None:
        try:
            client_socket, client_address = listener.accept()
        except OSError as error:
            if error.errno in NO_FILES_ERRORS:
                self.log_sometimes("open_files_exhausted")
                self.close_oldest_idle()
            elif error.errno not in TEMPORARY_ACCEPT_ERRORS:
                raise
            return
        address = client_address[0] if isinstance(client_address, tuple) else ""
        if not self.address_counts.try_add(address, self.limits.max_connections_per_address):
            self.log_sometimes("connection_refused", address=address)
            send_and_close(client_socket, b"" if self.cfg.is_ssl else TOO_MANY_CONNECTIONS)
            return
        self.nr_conns += 1
        connection = ClientConnection(self.cfg, client_socket, client_address, listener.getsockname(), self.limits)
        connection.on_close = partial(self.address_counts.remove, address)
        connection.on_linger = self.linger
        if self.nr_conns >= self.worker_connections:
            self.log_sometimes("connections_exhausted", connections=self.nr_conns)
            self.close_oldest_idle()
        self.wait_for_request(connection)

    def wait_for_request(self, connection: ClientConnection) -> None:
        """Wait in the event loop for a TLS handshake, and for a request."""
        connection.timeout = time.monotonic() + self.limits.head_seconds
        self.pending_conns.append(connection)
        self.poller.register(connection.sock, EVENT_READ, partial(self.on_pending_socket_readable, connection))

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        readiness = conn.receive()
        if readiness is not Readiness.WAITING:
            self.poller.unregister(conn.sock)
            self.pending_conns.remove(conn)
            self._handle_or_close(conn, readiness)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._continue(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        is_reusable = not fs.cancelled() and fs.exception() is None and fs.result()
        if is_reusable and conn.take_rest():
            conn.sock.setblocking(False)
            self._continue(conn)
        else:
            super().finish_request(conn, fs)

    def _continue(self, connection: ClientConnection) -> None:
        """Handle the connection's next request, if all of it has arrived, or wait for the rest."""
        readiness = connection.receive()
        if readiness is Readiness.WAITING:
            self.wait_for_request(connection)
        else:
            self._handle_or_close(connection, readiness)

    def _handle_or_close(self, connection: ClientConnection, readiness: Readiness) -> None:
        if readiness is Readiness.COMPLETE:
            connection.data_ready = True
            self.enqueue_req(connection)
        else:
            self.nr_conns -= 1
            connection.close(graceful=readiness is Readiness.ANSWERED)

    def handle_request(self, req: Any, conn: Any) -> Any:
        conn.parser.unreader.begin_body()
        if req.version == (1, 1) and not any(name == "HOST" for name, _ in req.headers):
            raise MissingHostError("HOST", req)
        target: Any = ResponseTarget(ResponseSocket(conn.sock, self.limits.io_seconds), conn.client, conn.server)
        is_reusable = super().handle_request(req, target)
        # What a slow client still sends is not waited for.
        return is_reusable and not conn.parser.unreader.is_too_slow

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        return bool(keepalive and conn.parser.finish_body(deadline=time.monotonic() + DISCARD_SECONDS))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        is_ours = isinstance(exc, InvalidResponseHeader | InvalidResponseHeaderName)
        description = None if is_ours else describe_invalid_request(exc, settings.FLYTE_MAX_HEADER_BYTES)
        if description is None:
            super().handle_error(req, client, addr, exc)
            return
        status, detail = description
        address = addr[0] if isinstance(addr, tuple) else ""
        log.warning("request_invalid", address=address, status=status, error=type(exc).__name__)
        with suppress(OSError):
            client.sendall(build_problem(status, detail))

    def murder_pending(self) -> None:
        now = time.monotonic()
        pending: Any = self.pending_conns
        while pending and pending[0].timeout <= now:
            connection = self._remove_oldest(pending)
            # A busy process may not have read what has arrived in time.
            readiness = connection.receive()
            if readiness is not Readiness.WAITING:
                self.nr_conns += 1
                self._handle_or_close(connection, readiness)
                continue
            if connection.received and not self.cfg.is_ssl:
                send_and_close(connection.sock, HEAD_TIMED_OUT)
            connection.close()
        while self.lingering_conns and self.lingering_conns[0].timeout <= now:
            self._remove_oldest(self.lingering_conns).close()

    def linger(self, connection: ClientConnection) -> None:
        """Wait for the client to close the connection, and discard what it still sends.

        gunicorn does this for up to two seconds in its event loop, while the process serves nobody else.
        """
        try:
            connection.sock.setblocking(False)
            connection.sock.shutdown(socket.SHUT_WR)
            self.poller.register(connection.sock, EVENT_READ, partial(self.on_lingering_socket_readable, connection))
        except (OSError, ValueError):
            connection.close()
            return
        self.nr_conns += 1
        connection.timeout = time.monotonic() + (LINGER_SECONDS if self.alive else STOP_LINGER_SECONDS)
        self.lingering_conns.append(connection)

    def on_lingering_socket_readable(self, connection: ClientConnection, client: Any) -> None:
        try:
            size = len(client.recv(READ_BYTES))
        except BlockingIOError:
            return
        except OSError:
            size = 0
        connection.discarded_bytes += size
        if not size or connection.discarded_bytes > MAX_LINGER_BYTES:
            self.poller.unregister(client)
            self.lingering_conns.remove(connection)
            self.nr_conns -= 1
            connection.close()

    def close_oldest_idle(self) -> None:
        """Close the connection that needs the server least.

        It is one that was answered and closes, else the one that has waited longest for a head or, if all are new, for
        its next request.
        """
        oldest_start = time.monotonic() - MIN_EVICTION_SECONDS + self.limits.head_seconds
        pending: Any = self.pending_conns
        if self.lingering_conns:
            self._remove_oldest(self.lingering_conns).close()
        elif pending and pending[0].timeout <= oldest_start:
            self._remove_oldest(pending).close()
        elif self.keepalived_conns:
            self._remove_oldest(self.keepalived_conns).close()

    def _remove_oldest(self, connections: Any) -> Any:
        connection = connections.popleft()
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(connection.sock)
        self.nr_conns -= 1
        return connection

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)  # type: ignore[misc]
        for connection in [*self.pending_conns, *self.lingering_conns]:
            waiting: Any = connection
            waiting.timeout = min(waiting.timeout, deadline)

    def log_sometimes(self, event: str, **fields: Any) -> None:
        """Log a warning, at most once a minute for each event: a client could cause many."""
        now = time.monotonic()
        if now >= self._next_log_at.get(event, 0.0):
            self._next_log_at[event] = now + LOG_INTERVAL_SECONDS
            log.warning(event, **fields)
