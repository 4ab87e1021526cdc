"""SSRF guard: outbound HTTP calls of hosted packs go only to hosts and addresses that the operator allows.

A host name is resolved once, each address is checked, and the connection uses a checked address: a name that changes
its address afterwards (DNS rebinding) has no effect. SSRF: server-side request forgery.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore

from packs.hosted.plugin_api.errors import SystemFailure, UserFailure
from packs.hosted.url_encoding import encode_host

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORTS = {"http": 80, "https": 443}
# Networks that are not public, after IANA's registries of special-purpose addresses. Python's `is_global` accepts some
# of them, depending on its version: protocol assignments (192.0.0.0/24), 6to4 relays (192.88.99.0/24), and for IPv6
# IPv4-compatible (RFC 4291, 2.5.5.1), IPv4-translated (RFC 7915), local-use translation (RFC 8215), discard-only,
# protocol assignments with Teredo (2001::/23), documentation, segment routing (RFC 9602) and site-local (RFC 3879).
NON_PUBLIC_NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/3",
            "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/32", "2001::/23", "2001:db8::/32",
            "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
        ),
    )
)  # fmt: skip
NAT64_NETWORK = ipaddress.IPv6Network("64:ff9b::/96")


class HostNotAllowedError(UserFailure):
    """The operator does not allow calls to this host."""


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
            raise ValueError(f"invalid network {text[:80]!r}; use a value such as 10.1.0.0/16") from None
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
    if domain:
        name = name.removesuffix(domain) + encode_host(domain)
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
        if address in NAT64_NETWORK:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def check_url(url: str, allowed: AllowedHosts) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL with an allowed host name. Raise `UserFailure`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        raise UserFailure("invalid URL") from None
    if parts.scheme not in DEFAULT_PORTS or not host or parts.username or any(ord(character) < 33 for character in url):
        raise UserFailure("invalid URL: must begin with http:// or https:// and have a host and no credentials")
    if not _parse_ip_literal(host) and not allowed.allows_name(host, port):
        raise HostNotAllowedError(f"host {host} is not in the allow list; add it to FLYTE_WEBAPI_ALLOWED_HOSTS")
    return parts.scheme, host, port


def resolve_allowed(
    host: str, port: int, allowed: AllowedHosts, resolve: Any = socket.getaddrinfo
) -> list[tuple[str, int]]:
    """Return the allowed addresses. Raise `UserFailure` if the list is empty, `SystemFailure` if the name can't be
    resolved.
    """
    literal = _parse_ip_literal(host)
    is_name_allowed = literal is None or allowed.allows_name("*", port)  # True for a `*` in the list
    if literal:
        candidates: Iterable[Address] = [literal]
    else:
        try:
            resolved = resolve(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise SystemFailure(f"can't resolve host {host}: {error.strerror or error}") from None
        candidates = [ipaddress.ip_address(address_info[4][0].partition("%")[0]) for address_info in resolved]
    addresses = [
        (str(address), port)
        for address in dict.fromkeys(candidates)
        if allowed.allows_address(address, is_name_allowed=is_name_allowed)
    ]
    if not addresses:
        raise HostNotAllowedError(_explain_refused_addresses(host, candidates))
    return addresses


def _explain_refused_addresses(host: str, candidates: Iterable[Address]) -> str:
    if not any(_is_public(_unwrap_ipv4(address)) for address in candidates):
        return f"no address of host {host} is public; add its network to FLYTE_WEBAPI_ALLOWED_HOSTS to allow it"
    return f"no address of host {host} is in the allow list; add its network to FLYTE_WEBAPI_ALLOWED_HOSTS"


def _parse_ip_literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


class PinnedBackend(httpcore.SyncBackend):
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
