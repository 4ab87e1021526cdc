"""Helpers for outbound calls: servers in this process, and name resolution set by the test."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from packs.hosted.plugins.http_client import (
    OutboundClient,
    OutboundResponse,
    RequestLimits,
)
from packs.hosted.ssrf_guard import AllowedHosts

LOOPBACK = "127.0.0.0/8"
LIMITS = RequestLimits(seconds=10, max_bytes=1000)


@contextmanager
def listening(respond: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen at a port, and pass each connection to `respond`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    try:
                        respond(peer)
                    except OSError:
                        continue

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def responding(text: bytes) -> Callable[[socket.socket], None]:
    def respond(peer: socket.socket) -> None:
        peer.recv(65_536)
        peer.sendall(text)

    return respond


RESPOND_HELLO = responding(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello")


def call(url: str, allowed: str, limits: RequestLimits = LIMITS, resolve: Any = socket.getaddrinfo) -> OutboundResponse:
    return OutboundClient(AllowedHosts.parse(allowed), resolve).call("GET", url, {"user-agent": "flyte"}, None, limits)


def resolving(*addresses: str) -> Any:
    """Resolve each name to the next address; repeat the last one."""
    remaining = list(addresses)

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        address = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    return resolve
