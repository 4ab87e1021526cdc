"""HTTP calls to external services, with limits on time and size. Redirects are not followed, proxies are not used.

`packs.hosted.ssrf_guard` decides which hosts and addresses may be called.
"""

import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpcore

from flyte_formats.content_encoding import (
    ContentEncodingError,
    ContentTooLargeError,
    CorruptContentError,
    decompress,
)
from flyte_formats.decoding import decode_text
from packs.hosted.plugin_api.errors import SystemFailure, Throttled, UserFailure
from packs.hosted.ssrf_guard import AllowedHosts, PinnedBackend, check_url, resolve_allowed
from packs.hosted.url_encoding import encode_url

MAX_HEADERS = 100


@dataclass(frozen=True)
class OutboundResponse:
    """A service's response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class RequestLimits:
    """Seconds from the name resolution to the last byte of the response, and bytes of its body."""

    seconds: float
    max_bytes: int


class OutboundClient:
    """An HTTP client for allowed hosts. `resolve` has the signature of `socket.getaddrinfo`."""

    def __init__(self, allowed: AllowedHosts, resolve: Any = socket.getaddrinfo) -> None:
        self._allowed = allowed
        self._resolve = resolve

    def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limits: RequestLimits
    ) -> OutboundResponse:
        """Make a call and return the whole response. Raise `UserFailure` if it is not allowed or too large, and
        `SystemFailure` if the host does not respond.
        """
        deadline = time.monotonic() + limits.seconds
        url = encode_url(url)
        scheme, host, port = check_url(url, self._allowed)
        addresses = resolve_allowed(host, port, self._allowed, self._resolve)
        backend = PinnedBackend(addresses, deadline)
        try:
            with httpcore.ConnectionPool(
                ssl_context=_ssl_context() if scheme == "https" else None,
                network_backend=backend,
                max_keepalive_connections=0,
            ) as pool:
                return self._read_response(pool, method, url, _encode_headers(headers), body, limits, deadline)
        except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol, UnicodeError) as error:
            raise UserFailure(f"invalid request: {error}") from None
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.RemoteProtocolError, OSError) as error:
            raise SystemFailure(f"{host}: {type(error).__name__}: {error}"[:300]) from None

    def _read_response(
        self,
        pool: httpcore.ConnectionPool,
        method: str,
        url: str,
        headers: list[tuple[bytes, bytes]],
        body: bytes | None,
        limits: RequestLimits,
        deadline: float,
    ) -> OutboundResponse:
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), limits.seconds)
        extensions = {"timeout": timeout}
        with pool.stream(method, url, headers=headers, content=body or b"", extensions=extensions) as response:
            received = bytearray()
            for chunk in response.iter_stream():
                received += chunk
                if len(received) > limits.max_bytes:
                    raise UserFailure(f"response exceeds the limit of {limits.max_bytes} bytes")
                if time.monotonic() > deadline:
                    raise SystemFailure(f"no complete response within {limits.seconds:g} s")
            pairs = [(name.decode("latin-1").lower(), decode_text(value)) for name, value in response.headers]
            response_headers = dict(pairs[:MAX_HEADERS])
            content = _decompress(bytes(received), response_headers, limits)
            return OutboundResponse(response.status, response_headers, content)


def _decompress(body: bytes, headers: Mapping[str, str], limits: RequestLimits) -> bytes:
    """Decompress the body if the service compressed it, although it was not asked to."""
    try:
        return decompress(body, headers.get("content-encoding", ""), limits.max_bytes)
    except ContentTooLargeError:
        raise UserFailure(f"decompressed response exceeds the limit of {limits.max_bytes} bytes") from None
    except ContentEncodingError as error:
        raise UserFailure(f"invalid response: {error}") from None
    except CorruptContentError as error:
        raise SystemFailure(f"invalid response: {error}") from None


def _encode_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    encoded = []
    for name, value in headers.items():
        try:
            encoded.append((name.encode("ascii"), value.encode("latin-1")))
        except UnicodeEncodeError as error:
            character = error.object[error.start]
            raise UserFailure(f"header {name[:80]!r}: invalid character {character!r}") from None
    return encoded


@cache
def _ssl_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def parse_throttling(response: OutboundResponse) -> Throttled | None:
    """Return `Throttled` if the service requests fewer calls: 429, or 503 with `Retry-After`."""
    retry_after = response.headers.get("retry-after", "").strip()
    if response.status != 429 and not (response.status == 503 and retry_after):
        return None
    seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 8 else 0.0
    return Throttled(f"service responded with status {response.status}", retry_after=seconds)
