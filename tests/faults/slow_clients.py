"""Clients that connect and send their requests slowly or not at all."""

import socket
from contextlib import suppress
from itertools import cycle

COUNT = 300
_HEAD = b"POST /v1/packs HTTP/1.1\r\nHost: localhost\r\n"
UNFINISHED = (
    b"",
    b"G",
    _HEAD,
    _HEAD + b"Content-Length: 100\r\n\r\n{",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nG",
    b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
)


class SlowClients:
    """Connections to one server, each with a part of a request."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._sockets: list[socket.socket] = []

    def open(self) -> None:
        """Open the connections, as far as the server accepts them."""
        for _, part in zip(range(COUNT), cycle(UNFINISHED), strict=False):
            try:
                connection = socket.create_connection(("127.0.0.1", self.port), timeout=0.2)
            except OSError:
                return
            self._sockets.append(connection)
            connection.setblocking(False)
            with suppress(OSError):
                connection.sendall(part)

    def trickle(self) -> None:
        """Send another byte on each connection that the server has not closed."""
        for connection in self._sockets:
            with suppress(OSError):
                connection.send(b"x")

    def close(self) -> None:
        for connection in self._sockets:
            connection.close()
        self._sockets.clear()
