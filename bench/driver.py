"""Requests at as little cost as Python allows: keep-alive sockets, ready-made bytes, answers that are hardly read.

The driver shares the machine with what it measures.
"""

import json
import socket
from typing import Any, NamedTuple

TIMEOUT_SECONDS = 120


class RawResponse(NamedTuple):
    """A status, the headers in small letters, and a body."""

    status: int
    body: bytes
    headers: bytes = b""


class KeepAliveConnection:
    """One connection that is kept. `host` is a name or address with a port."""

    def __init__(self, host: str) -> None:
        name, _, port = host.rpartition(":")
        self.host_header = f"host: {host}\r\n".encode()
        self.socket = socket.create_connection((name, int(port)), TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: bytes = b"") -> RawResponse:
        """Post, and wait for the answer. Raises `ValueError` where it is no success."""
        self.send(path, body)
        response = self.receive()
        if response.status >= 300:
            raise ValueError(f"POST {path} was answered {response}")
        return response

    def post_json(self, path: str, value: Any) -> RawResponse:
        return self.post(path, json.dumps(value).encode())

    def send(self, path: str, body: bytes = b"") -> None:
        """Post, and come back for the answer later."""
        length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        self.socket.sendall(b"POST " + path.encode() + b" HTTP/1.1\r\n" + self.host_header + length + body)

    def receive(self) -> RawResponse:
        """The answer to what was sent."""
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._receive_more()
        status = int(data[9:12])
        _, has_length, rest = data[:end].lower().partition(b"content-length:")
        length = int(rest.split(b"\r\n", 1)[0]) if has_length else 0
        while len(data) < end + 4 + length:
            data += self._receive_more()
        return RawResponse(status, data[end + 4 :], data[:end].lower())

    def _receive_more(self) -> bytes:
        if chunk := self.socket.recv(65536):
            return chunk
        raise ConnectionError("the server closed the connection")

    def close(self) -> None:
        self.socket.close()
