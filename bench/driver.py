"""An HTTP client with minimal overhead: keep-alive sockets, prebuilt bytes, and minimal parsing of responses.

It must be cheap because it runs on the same machine as the server that it measures.
"""

import json
import socket
from typing import Any, NamedTuple

TIMEOUT_SECONDS = 120


class RawResponse(NamedTuple):
    """An HTTP response; `headers` are in lower case."""

    status: int
    body: bytes
    headers: bytes = b""


class KeepAliveConnection:
    """A keep-alive connection. `host` is a name or address with a port."""

    def __init__(self, host: str) -> None:
        name, _, port = host.rpartition(":")
        self.host_header = f"host: {host}\r\n".encode()
        self.socket = socket.create_connection((name, int(port)), TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: bytes = b"") -> RawResponse:
        """Post and wait for the response. Raises `ValueError` for an error response."""
        self.send(path, body)
        response = self.receive()
        if response.status >= 300:
            raise ValueError(f"unexpected response to POST {path}: {response}")
        return response

    def post_json(self, path: str, value: Any) -> RawResponse:
        return self.post(path, json.dumps(value).encode())

    def send(self, path: str, body: bytes = b"") -> None:
        """Send a POST request; `receive` returns its response."""
        length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        self.socket.sendall(b"POST " + path.encode() + b" HTTP/1.1\r\n" + self.host_header + length + body)

    def receive(self) -> RawResponse:
        """Wait for the response to the last request."""
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
