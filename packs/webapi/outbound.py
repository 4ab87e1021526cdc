"""Calls to services outside: only where the operator allows it, within a time and a size.

A host's name is resolved once, each address is judged, and the connection goes to an address that was: a name that
means another machine a moment later (DNS rebinding) leads nowhere. Redirects are not followed, proxies not used.
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

from packs.webapi.errors import SystemFailure, Throttled, UserFailure

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CHUNK = 65_536
MAX_HEADERS = 100
PORTS = {"http": 80, "https": 443}
# IPv6 addresses that lead into somebody's own network, though they are not listed as private: IPv4 in the old form
# (RFC 4291, 2.5.5.1), translation within a site (RFC 8215), site-local (RFC 3879).
NOT_PUBLIC = tuple(map(ipaddress.ip_network, ("::/96", "64:ff9b:1::/48", "fec0::/10")))


@dataclass(frozen=True)
class AllowedHosts:
    """FLYTE_WEBAPI_ALLOWED_HOSTS: `api.example.org`, `*.example.org`, `ci.example.org:8443`, `*`, `10.1.0.0/16`.

    Names say which hosts may be called. Addresses that are not public – loopback, link-local, private – may be
    called only where a network in the list has them, whatever their name.
    """

    names: tuple[tuple[str, int | None], ...]
    networks: tuple[Network, ...]

    @classmethod
    def read(cls, text: str) -> "AllowedHosts":
        """The list of a text with commas. Raises `ValueError`."""
        names, networks = [], []
        for part in (part.strip().lower() for part in text.split(",") if part.strip()):
            network = _network(part)
            if network:
                networks.append(network)
            else:
                names.append(_name(part))
        return cls(tuple(names), tuple(networks))

    def allows_name(self, host: str, port: int) -> bool:
        """Whether a host of this name may be called at this port."""
        host = host.lower().rstrip(".")
        return any((own is None or own == port) and _matches(pattern, host) for pattern, own in self.names)

    def allows_address(self, address: Address, *, named: bool) -> bool:
        """Whether this address may be connected to; `named` where its host's name is in the list."""
        plain = _unmapped(address)
        listed = any(plain in network for network in self.networks if network.version == plain.version)
        return listed or (named and _is_public(plain))


def _is_public(address: Address) -> bool:
    inner = any(address in network for network in NOT_PUBLIC if network.version == address.version)
    return address.is_global and not address.is_multicast and not inner


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        if "/" in text:
            raise ValueError(f"{text[:80]!r} is no network such as 10.1.0.0/16") from None
        return None


def _name(text: str) -> tuple[str, int | None]:
    name, colon, port = text.partition(":")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ValueError(f"{text[:80]!r} has no port after its colon")
    rest = "" if name == "*" else name.removeprefix("*.")
    if name != "*" and (not rest or "*" in rest or any(not (one.isalnum() or one in ".-_") for one in rest)):
        raise ValueError(f"{text[:80]!r} is no host name, and no address")
    return name.rstrip("."), int(port) if colon else None


def _matches(pattern: str, host: str) -> bool:
    return pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def _unmapped(address: Address) -> Address:
    """The address that an IPv6 one stands for (`::ffff:127.0.0.1`, 6to4, NAT64), else itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address.sixtofour:
            return address.ipv4_mapped or address.sixtofour or address
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


@dataclass(frozen=True)
class Answer:
    """A service's answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Bounds:
    """Seconds from the first look at the name to the last byte of the answer; bytes of its body."""

    seconds: float
    most_bytes: int


class NotAllowedError(UserFailure):
    """The operator does not allow this call."""


class Outbound:
    """Makes calls. `resolve` gives the addresses of a host, as `socket.getaddrinfo` does."""

    def __init__(self, allowed: AllowedHosts, resolve: Any = socket.getaddrinfo) -> None:
        self._allowed = allowed
        self._resolve = resolve

    def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, bounds: Bounds) -> Answer:
        """One call and its whole answer. Raises `UserFailure` for what must not be called or is too large, and
        `SystemFailure` where there is no answer."""
        ends = time.monotonic() + bounds.seconds
        scheme, host, port = self._judge(url)
        addresses = self._addresses(host, port)
        backend = _Backend(addresses, ends)
        try:
            with httpcore.ConnectionPool(
                ssl_context=_tls() if scheme == "https" else None, network_backend=backend, max_keepalive_connections=0
            ) as pool:
                return self._answer(pool, method, url, _sendable(headers), body, bounds, ends)
        except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol, UnicodeError) as error:
            raise UserFailure(f"the request can't be sent: {error}") from None
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.RemoteProtocolError, OSError) as error:
            raise SystemFailure(f"{host}: {type(error).__name__}: {error}"[:300]) from None

    def _answer(
        self,
        pool: httpcore.ConnectionPool,
        method: str,
        url: str,
        headers: list[tuple[bytes, bytes]],
        body: bytes | None,
        bounds: Bounds,
        ends: float,
    ) -> Answer:
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), bounds.seconds)
        extensions = {"timeout": timeout}
        with pool.stream(method, url, headers=headers, content=body or b"", extensions=extensions) as response:
            received = bytearray()
            for chunk in response.iter_stream():
                received += chunk
                if len(received) > bounds.most_bytes:
                    raise UserFailure(f"the answer has more than {bounds.most_bytes} bytes")
                if time.monotonic() > ends:
                    raise SystemFailure(f"the answer was not there within {bounds.seconds:g} s")
            pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers]
            return Answer(response.status, dict(pairs[:MAX_HEADERS]), bytes(received))

    def _judge(self, url: str) -> tuple[str, str, int]:
        """Scheme, host and port of a URL whose name may be called. Raises `UserFailure`."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
        except ValueError:
            raise UserFailure("the URL is none") from None
        if parts.scheme not in PORTS or not host or parts.username or any(ord(one) < 33 for one in url):
            raise UserFailure("the URL must begin with http:// or https://, and have a host and no password")
        if not _literal(host) and not self._allowed.allows_name(host, port):
            raise NotAllowedError(f"the host {host} is not in FLYTE_WEBAPI_ALLOWED_HOSTS")
        return parts.scheme, host, port

    def _addresses(self, host: str, port: int) -> list[tuple[str, int]]:
        """Where to connect to. Raises `UserFailure` where nothing may be, `SystemFailure` where there is nothing."""
        literal = _literal(host)
        named = literal is None or self._allowed.allows_name("*", port)  # a `*` in the list
        if literal:
            found: Iterable[Address] = [literal]
        else:
            try:
                answers = self._resolve(host, port, type=socket.SOCK_STREAM)
            except OSError as error:
                raise SystemFailure(f"{host}: can't be resolved ({error.strerror or error})") from None
            found = [ipaddress.ip_address(answer[4][0].partition("%")[0]) for answer in answers]
        allowed = [(str(one), port) for one in dict.fromkeys(found) if self._allowed.allows_address(one, named=named)]
        if not allowed:
            raise NotAllowedError(
                f"the address of {host} is not public, and no network in FLYTE_WEBAPI_ALLOWED_HOSTS has it"
            )
        return allowed


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _sendable(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    try:
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    except ValueError:
        raise UserFailure("a header has characters that no header can have") from None


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Backend(httpcore.SyncBackend):
    """Connects to the addresses that were judged, whatever the name means by now; and no wait outlasts the call."""

    def __init__(self, addresses: list[tuple[str, int]], ends: float) -> None:
        super().__init__()
        self._addresses = addresses
        self._ends = ends

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any) -> Any:
        failure: Exception = httpcore.ConnectError(f"no address of {host}")
        for address, number in self._addresses:
            try:
                left = _left(self._ends, httpcore.ConnectTimeout)
                stream = super().connect_tcp(address, number, left, *args, **kwargs)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return _Stream(stream, self._ends)
        raise failure


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends when the call has to."""

    def __init__(self, stream: httpcore.NetworkStream, ends: float) -> None:
        self._stream = stream
        self._ends = ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._ends, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._ends, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._ends, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._ends)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(ends: float, late: type[Exception]) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise late("the time for the call is over")
    return left


def throttled_by(answer: Answer) -> Throttled | None:
    """What the answer is if the service asks to be called less often: 429, or 503 with a time."""
    after = answer.headers.get("retry-after", "").strip()
    if answer.status != 429 and not (answer.status == 503 and after):
        return None
    seconds = float(after) if after.isascii() and after.isdigit() and len(after) < 8 else 0.0
    return Throttled(f"the service answered {answer.status}", retry_after=seconds)
