"""Requests at as little cost as Python allows: keep-alive sockets, ready-made bytes, answers that are hardly read.

The driver shares the machine with what it measures.
"""

import json
import socket
from typing import Any, NamedTuple

SECONDS = 120


class Answer(NamedTuple):
    """A status, the headers in small letters, and a body."""

    status: int
    body: bytes
    head: bytes = b""


class Connection:
    """One connection that is kept. `host` is a name or address with a port."""

    def __init__(self, host: str) -> None:
        name, _, port = host.rpartition(":")
        self.head = f"host: {host}\r\n".encode()
        self.socket = socket.create_connection((name, int(port)), SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: bytes = b"") -> Answer:
        """Post, and wait for the answer. Raises `ValueError` where it is no success."""
        self.send(path, body)
        answer = self.receive()
        if answer.status >= 300:
            raise ValueError(f"POST {path} was answered {answer}")
        return answer

    def post_json(self, path: str, value: Any) -> Answer:
        return self.post(path, json.dumps(value).encode())

    def send(self, path: str, body: bytes = b"") -> None:
        """Post, and come back for the answer later."""
        length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        self.socket.sendall(b"POST " + path.encode() + b" HTTP/1.1\r\n" + self.head + length + body)

    def receive(self) -> Answer:
        """The answer to what was sent."""
        text = b""
        while (end := text.find(b"\r\n\r\n")) < 0:
            text += self._more()
        status = int(text[9:12])
        _, found, after = text[:end].lower().partition(b"content-length:")
        length = int(after.split(b"\r\n", 1)[0]) if found else 0
        while len(text) < end + 4 + length:
            text += self._more()
        return Answer(status, text[end + 4 :], text[:end].lower())

    def _more(self) -> bytes:
        if some := self.socket.recv(65536):
            return some
        raise ConnectionError("the server closed the connection")

    def close(self) -> None:
        self.socket.close()
