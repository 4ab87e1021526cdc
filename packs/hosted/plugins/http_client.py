"""HTTP calls to external services: only to hosts that the operator allows, with limits on time and size.

A host name is resolved once, each address is checked, and the connection uses a checked address: a name that changes
its address afterwards (DNS rebinding) has no effect. Redirects are not followed, proxies are not used.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpcore

from packs.hosted.plugin_api.errors import SystemFailure, Throttled, UserFailure

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CHUNK_BYTES = 65_536
MAX_HEADERS = 100
DEFAULT_PORTS = {"http": 80, "https": 443}
# IPv6 addresses of internal networks that `is_global` accepts: IPv4-compatible (RFC 4291, 2.5.5.1), local-use
# translation (RFC 8215), site-local (RFC 3879).
NON_PUBLIC_NETWORKS = tuple(map(ipaddress.ip_network, ("::/96", "64:ff9b:1::/48", "fec0::/10")))


@dataclass(frozen=True)
class AllowedHosts:
    """FLYTE_WEBAPI_ALLOWED_HOSTS: `api.example.org`, `*.example.org`, `ci.example.org:8443`, `*`, `10.1.0.0/16`.

    Names allow hosts. Non-public addresses (loopback, link-local, private) are allowed only if a network in the list
    contains them, regardless of the host name.
    """

    names: tuple[tuple[str, int | None], ...]
    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, text: str) -> "AllowedHosts":
        """Parse a comma-separated list. Raise `ValueError`."""
        names, networks = [], []
        for part in (part.strip().lower() for part in text.split(",") if part.strip()):
            network = _parse_network(part)
            if network:
                networks.append(network)
            else:
                names.append(_parse_host_pattern(part))
        return cls(tuple(names), tuple(networks))

    def allows_name(self, host: str, port: int) -> bool:
        """Return True if a host with this name may be called at this port."""
        host = host.lower().rstrip(".")
        return any(
            (allowed_port is None or allowed_port == port) and _matches_pattern(pattern, host)
            for pattern, allowed_port in self.names
        )

    def allows_address(self, address: Address, *, is_name_allowed: bool) -> bool:
        """Return True if this address may be connected to. `is_name_allowed`: the list contains the host's name."""
        unwrapped = _unwrap_ipv4(address)
        is_listed = any(unwrapped in network for network in self.networks if network.version == unwrapped.version)
        return is_listed or (is_name_allowed and _is_public(unwrapped))


def _is_public(address: Address) -> bool:
    is_non_public = any(address in network for network in NON_PUBLIC_NETWORKS if network.version == address.version)
    return address.is_global and not address.is_multicast and not is_non_public


def _parse_network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        if "/" in text:
            raise ValueError(f"invalid network {text[:80]!r}: use for example 10.1.0.0/16") from None
        return None


def _parse_host_pattern(text: str) -> tuple[str, int | None]:
    name, colon, port = text.partition(":")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ValueError(f"invalid port in {text[:80]!r}")
    domain = "" if name == "*" else name.removeprefix("*.")
    if name != "*" and (
        not domain or "*" in domain or any(not (character.isalnum() or character in ".-_") for character in domain)
    ):
        raise ValueError(f"invalid host name or address {text[:80]!r}")
    return name.rstrip("."), int(port) if colon else None


def _matches_pattern(pattern: str, host: str) -> bool:
    return pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def _unwrap_ipv4(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address embeds (`::ffff:127.0.0.1`, 6to4, NAT64), else the
    address itself.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address.sixtofour:
            return address.ipv4_mapped or address.sixtofour or address
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


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


class HostNotAllowedError(UserFailure):
    """The operator does not allow calls to this host."""


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
        scheme, host, port = self._check_url(url)
        addresses = self._resolve_allowed(host, port)
        backend = _PinnedBackend(addresses, deadline)
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
            pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers]
            return OutboundResponse(response.status, dict(pairs[:MAX_HEADERS]), bytes(received))

    def _check_url(self, url: str) -> tuple[str, str, int]:
        """Return scheme, host and port of a URL with an allowed host name. Raise `UserFailure`."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
        except ValueError:
            raise UserFailure("invalid URL") from None
        if (
            parts.scheme not in DEFAULT_PORTS
            or not host
            or parts.username
            or any(ord(character) < 33 for character in url)
        ):
            raise UserFailure("invalid URL: must begin with http:// or https:// and have a host and no credentials")
        if not _parse_ip_literal(host) and not self._allowed.allows_name(host, port):
            raise HostNotAllowedError(f"host {host} is not allowed; add it to FLYTE_WEBAPI_ALLOWED_HOSTS")
        return parts.scheme, host, port

    def _resolve_allowed(self, host: str, port: int) -> list[tuple[str, int]]:
        """Return the allowed addresses. Raise `UserFailure` if the list is empty, `SystemFailure` if the name can't be
        resolved.
        """
        literal = _parse_ip_literal(host)
        is_name_allowed = literal is None or self._allowed.allows_name("*", port)  # True for a `*` in the list
        if literal:
            candidates: Iterable[Address] = [literal]
        else:
            try:
                resolved = self._resolve(host, port, type=socket.SOCK_STREAM)
            except OSError as error:
                raise SystemFailure(f"can't resolve host {host}: {error.strerror or error}") from None
            candidates = [ipaddress.ip_address(address_info[4][0].partition("%")[0]) for address_info in resolved]
        allowed = [
            (str(address), port)
            for address in dict.fromkeys(candidates)
            if self._allowed.allows_address(address, is_name_allowed=is_name_allowed)
        ]
        if not allowed:
            raise HostNotAllowedError(
                f"no address of host {host} is allowed; non-public ones need a network in FLYTE_WEBAPI_ALLOWED_HOSTS"
            )
        return allowed


def _parse_ip_literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _encode_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    try:
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    except ValueError:
        raise UserFailure("invalid character in a header") from None


@cache
def _ssl_context() -> ssl.SSLContext:
    return ssl.create_default_context()


class _PinnedBackend(httpcore.SyncBackend):
    """A backend that connects only to the checked addresses, and never waits past the deadline."""

    def __init__(self, addresses: list[tuple[str, int]], deadline: float) -> None:
        super().__init__()
        self._addresses = addresses
        self._deadline = deadline

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any) -> Any:
        failure: Exception = httpcore.ConnectError(f"no address for host {host}")
        for address, target_port in self._addresses:
            try:
                remaining = _remaining_seconds(self._deadline, httpcore.ConnectTimeout)
                stream = super().connect_tcp(address, target_port, remaining, *args, **kwargs)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return _DeadlineStream(stream, self._deadline)
        raise failure


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose reads and writes never wait past the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _remaining_seconds(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _remaining_seconds(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        remaining = _remaining_seconds(self._deadline, httpcore.ConnectTimeout)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, remaining), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _remaining_seconds(deadline: float, timeout_error: type[Exception]) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise timeout_error("the call timed out")
    return remaining


def parse_throttling(response: OutboundResponse) -> Throttled | None:
    """Return `Throttled` if the service requests fewer calls: 429, or 503 with `Retry-After`."""
    retry_after = response.headers.get("retry-after", "").strip()
    if response.status != 429 and not (response.status == 503 and retry_after):
        return None
    seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 8 else 0.0
    return Throttled(f"service responded with status {response.status}", retry_after=seconds)
