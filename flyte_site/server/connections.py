"""Connections of clients: complete request heads before a thread is used, time limits, and limits by address.

A thread handles a request only after its head has arrived, and its body if that is short. Until then, during the TLS
handshake and between requests, a connection costs a file descriptor and a few kilobytes, so that slow and idle clients
keep nobody else out.
"""

import errno
import re
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from gunicorn import http
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, LimitRequestLine, NoMoreData
from gunicorn.http.unreader import SocketUnreader
from gunicorn.sock import ssl_wrap_socket
from gunicorn.workers.gthread import TConn

from flyte_site.http.input.body import MAX_SHORT_BODY_BYTES
from flyte_site.http.middleware import is_trusted_proxy
from flyte_site.server.tls import PLAIN_HTTP_RESPONSE, is_plain_http

READ_BYTES = 65_536
HEAD_END, LINE_END = b"\r\n\r\n", b"\n"
# Fits a pack id of 512 characters, each escaped as up to twelve.
MAX_REQUEST_LINE_BYTES = 8190
# The server waits `io_seconds` for a body or a response's reader, and longer only if this much passes on average.
MIN_BYTES_PER_SECOND = 4096
MISSING_HOST = "header Host is required in HTTP/1.1 (RFC 9112, 3.2)"
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?:\r|\Z)", re.IGNORECASE)
# A client that expects `100 Continue` sends the body only after it; the end of a chunked body is in the body.
_BODY_FOLLOWS_LATER = re.compile(rb"\r\n(?:expect|transfer-encoding)[ \t]*:", re.IGNORECASE)


class MissingHostError(InvalidHeader):
    """A request of HTTP/1.1 without a `Host` header."""

    def __str__(self) -> str:
        return MISSING_HOST


class Readiness(Enum):
    """The state of a connection that waits for a request."""

    WAITING = auto()
    COMPLETE = auto()
    DISCONNECTED = auto()
    # The server has answered without a request, and closes the connection.
    ANSWERED = auto()


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of one web process. `head_seconds`: from the connection, or a request's first byte, to its last header.

    `io_seconds`: the longest pause within a body that the client sends, or a response that it reads.
    """

    max_connections_per_address: int
    max_head_bytes: int
    head_seconds: float
    io_seconds: float


class Pace:
    """The bytes that a client sent or read, and the time that the server waited for them."""

    def __init__(self, seconds: float) -> None:
        self._seconds_left = seconds

    def is_too_slow_after(self, size: int, seconds: float) -> bool:
        """Count bytes and the wait for them; return True if the client is slower than it may be."""
        self._seconds_left += size / MIN_BYTES_PER_SECOND - seconds
        return self._seconds_left < 0


class LimitedUnreader(SocketUnreader):
    """A reader with a deadline for the head, and for the body a limit for pauses and a minimum rate.

    A client that is too slow looks like one that has disconnected.
    """

    def __init__(self, sock: socket.socket, limits: ConnectionLimits) -> None:
        super().__init__(sock)
        self._limits = limits
        self._head_deadline: float | None = None
        self._head_bytes = 0
        self._body_pace = Pace(limits.io_seconds)
        self.is_too_slow = False

    def begin_head(self) -> None:
        self._head_deadline, self._head_bytes = time.monotonic() + self._limits.head_seconds, 0

    def begin_body(self) -> None:
        self._head_deadline = None
        self._body_pace = Pace(self._limits.io_seconds)
        self.sock.settimeout(self._limits.io_seconds)

    def chunk(self, size_hint: int | None = None) -> bytes:
        if self._head_deadline is not None:
            self.sock.settimeout(max(self._head_deadline - time.monotonic(), 0.001))
        started = time.monotonic()
        try:
            data: bytes = super().chunk(size_hint)  # type: ignore[call-arg]  # the stubs are of an older version
        except TimeoutError:
            self._end_slow_client()
        if self._head_deadline is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.max_head_bytes + READ_BYTES:
                raise LimitRequestHeaders("limit request headers fields size")
        elif self._body_pace.is_too_slow_after(len(data), time.monotonic() - started):
            self._end_slow_client()
        return data

    def _end_slow_client(self) -> None:
        self.is_too_slow = True
        raise NoMoreData(b"") from None


class ResponseSocket:
    """A socket for responses. It fails like that of a client that has disconnected if the client reads too slowly.

    Python's own timeout would be for the whole response, however large it is.
    """

    def __init__(self, sock: Any, io_seconds: float) -> None:
        self._sock = sock
        self._pace = Pace(io_seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            started = time.monotonic()
            try:
                sent = self._sock.send(rest[:READ_BYTES])
            except TimeoutError:
                sent, started = 0, float("-inf")
            rest = rest[sent:]
            if self._pace.is_too_slow_after(sent, time.monotonic() - started):
                raise ConnectionResetError(errno.ECONNRESET, "the client reads too slowly")


class ClientConnection(TConn):
    """A client's connection, with the part of the next request that has arrived."""

    sock: Any
    parser: Any
    timeout: Any

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any, limits: ConnectionLimits) -> None:
        super().__init__(cfg, sock, client, server)
        self.limits = limits
        self.received = bytearray()
        self.discarded_bytes = 0
        self.on_close: Callable[[], None] | None = None
        self.on_linger: Callable[[ClientConnection], None] | None = None
        self._is_secured = not cfg.is_ssl
        self._searched_bytes = 0
        self._required_bytes: int | None = None

    def receive(self) -> Readiness:
        """Receive what has arrived, without waiting, until a thread can handle the request."""
        try:
            if not self._is_secured and not self._secure():
                return Readiness.ANSWERED
            while not self._is_complete():
                data = self.sock.recv(READ_BYTES)
                if not data:
                    return Readiness.DISCONNECTED
                self.received += data
                # Empty lines before a request are ignored (RFC 9112, 2.2).
                while self.received[:2] == b"\r\n":
                    del self.received[:2]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return Readiness.WAITING
        except OSError:
            return Readiness.DISCONNECTED
        return Readiness.COMPLETE

    def _secure(self) -> bool:
        """Continue the TLS handshake; return False after an answer to a client that sends plain HTTP."""
        if not isinstance(self.sock, ssl.SSLSocket):
            if is_plain_http(self.sock):
                self.sock.send(PLAIN_HTTP_RESPONSE)
                return False
            self.sock = ssl_wrap_socket(self.sock, self.cfg)
        self.sock.do_handshake()
        self._is_secured = True
        return True

    def _is_complete(self) -> bool:
        """Return True if the head and a short body have arrived, and if the head is invalid.

        Invalid is a first line that does not end as HTTP requires, and a head that is too long.
        """
        if self._required_bytes is None:
            end = self.received.find(HEAD_END, self._searched_bytes)
            self._searched_bytes = max(len(self.received) - len(HEAD_END) + 1, 0)
            if end < 0:
                line_end = self.received.find(LINE_END)
                is_invalid = line_end >= 0 and self.received[line_end - 1 : line_end] != b"\r"
                return is_invalid or len(self.received) > self.limits.max_head_bytes
            self._required_bytes = end + len(HEAD_END) + count_short_body_bytes(bytes(self.received[:end]))
        return len(self.received) >= self._required_bytes

    def init(self) -> None:
        """Prepare to parse the request that has arrived."""
        if not self.initialized:
            self.initialized = True
            self.parser = http.get_parser(self.cfg, self.sock, self.client)
            self.parser.unreader = LimitedUnreader(self.sock, self.limits)
        self.parser.unreader.begin_head()
        received, self.received = bytes(self.received), bytearray()
        self._searched_bytes, self._required_bytes = 0, None
        if received:
            self._check_head_size(received)
            self.parser.unreader.unread(received)

    def take_rest(self) -> bool:
        """Take what was received after the last request; return True if the poller can't report it."""
        self.received += self.parser.unreader.take_buffered()
        return bool(self.received) or (self.cfg.is_ssl and self.sock.pending() > 0)

    def _check_head_size(self, received: bytes) -> None:
        end = received.find(HEAD_END)
        if (len(received) if end < 0 else end) <= self.limits.max_head_bytes:
            return
        line_end = received.find(LINE_END)
        if line_end < 0 or line_end > MAX_REQUEST_LINE_BYTES:
            raise LimitRequestLine(line_end, MAX_REQUEST_LINE_BYTES)
        raise LimitRequestHeaders("limit request headers fields size")

    def close(self, graceful: bool = False) -> None:
        """Close the connection; if `graceful`, after the client, so that it can read the whole response."""
        on_linger, self.on_linger = self.on_linger, None
        if graceful and on_linger:
            on_linger(self)
            return
        if self.on_close:
            self.on_close()
            self.on_close = None
        super().close()


@dataclass
class AddressCounts:
    """The open connections of each address, in one web process."""

    counts: Counter[str] = field(default_factory=Counter)

    def try_add(self, address: str, limit: int) -> bool:
        """Count a connection; return False if its address has too many. Trusted proxies have no limit."""
        if self.counts[address] >= limit and not is_trusted_proxy(address):
            return False
        self.counts[address] += 1
        return True

    def remove(self, address: str) -> None:
        self.counts[address] -= 1
        if self.counts[address] <= 0:
            del self.counts[address]


def count_short_body_bytes(head: bytes) -> int:
    """Return the size of a body that is awaited together with its head; 0 without one, and for others."""
    length = _CONTENT_LENGTH.search(head)
    if length is None or _BODY_FOLLOWS_LATER.search(head):
        return 0
    size = int(length[1])
    return size if size <= MAX_SHORT_BODY_BYTES else 0


def send_and_close(sock: socket.socket, response: bytes) -> None:
    """Send a response without waiting for the client, and close the connection."""
    with suppress(OSError, ssl.SSLError):
        sock.setblocking(False)
        sock.send(response)
        sock.shutdown(socket.SHUT_WR)
    sock.close()
