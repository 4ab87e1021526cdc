"""Calls to other services: only to allowed hosts, at the checked address, with limits of time and size."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trustme

from packs.hosted.plugin_api.errors import SystemFailure, UserFailure
from packs.hosted.plugins import http_client as module
from packs.hosted.plugins.http_client import (
    AllowedHosts,
    HostNotAllowedError,
    OutboundClient,
    OutboundResponse,
    RequestLimits,
    parse_throttling,
)

pytestmark = pytest.mark.unit

LOOPBACK = "127.0.0.0/8"
LIMITS = RequestLimits(seconds=10, max_bytes=1000)


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen at a port, and pass each connection to `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    try:
                        answer(peer)
                    except OSError:
                        continue

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def responding(text: bytes) -> Callable[[socket.socket], None]:
    def answer(peer: socket.socket) -> None:
        peer.recv(65_536)
        peer.sendall(text)

    return answer


RESPOND_HELLO = responding(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello")


def call(url: str, allowed: str, limits: RequestLimits = LIMITS, resolve: Any = socket.getaddrinfo) -> OutboundResponse:
    return OutboundClient(AllowedHosts.parse(allowed), resolve).call("GET", url, {"user-agent": "flyte"}, None, limits)


def resolving(*addresses: str) -> Any:
    """Resolve each name to the next address; repeat the last one."""
    left = list(addresses)

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        address = left.pop(0) if len(left) > 1 else left[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    return resolve


def test_a_response_is_read_completely() -> None:
    with listening(RESPOND_HELLO) as port:
        answer = call(f"http://127.0.0.1:{port}/x?y#z", LOOPBACK)
    assert (answer.status, answer.body, answer.headers["x-one"]) == (200, b"hello", "1")


@pytest.mark.parametrize(
    ("allowed", "host", "expected"),
    [
        ("", "api.example.org", False),
        ("api.example.org", "api.example.org", True),
        ("API.example.org.", "api.EXAMPLE.org", True),
        ("api.example.org", "evil-api.example.org", False),
        ("api.example.org", "api.example.org.evil.net", False),
        ("*.example.org", "a.b.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "evilexample.org", False),
        ("*", "anything.example.net", True),
        ("api.example.org:8443", "api.example.org", False),
        ("api.example.org:443", "api.example.org", True),
    ],
)
def test_only_listed_host_names_are_allowed(allowed: str, host: str, expected: bool) -> None:
    assert AllowedHosts.parse(allowed).allows_name(host, 443) is expected


PUBLIC = "93.184.216.34"
NOT_PUBLIC = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1", "::7f00:1", "::a00:1", "64:ff9b:1::a00:1",
    "fec0::1", "2001::1", "100::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_allowed_name_that_resolves_to_a_non_public_address_is_refused(address: str) -> None:
    with pytest.raises(HostNotAllowedError, match=r"no address of host .* is allowed; non-public"):
        call("http://api.example.org/", "api.example.org", resolve=resolving(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]", "10.0.0.1"])
def test_an_address_in_the_url_needs_an_allowed_network(host: str) -> None:
    for allowed in ("", "*", "api.example.org", "10.9.0.0/16"):
        with pytest.raises(HostNotAllowedError):
            call(f"http://{host}/", allowed)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "017700000001", "localhost", "localhost."])
def test_other_notations_of_loopback_are_refused(host: str) -> None:
    with pytest.raises((HostNotAllowedError, SystemFailure)):
        call(f"http://{host}/", "*")


def test_the_checked_address_is_used_even_if_the_name_resolves_differently_later() -> None:
    resolved_hosts = []
    resolve = resolving("127.0.0.1", "127.0.0.2")

    def counting(*arguments: Any, **named: Any) -> Any:
        resolved_hosts.append(arguments[0])
        return resolve(*arguments, **named)

    with listening(RESPOND_HELLO) as port:
        answer = call(f"http://api.example.org:{port}/", f"api.example.org,{LOOPBACK}", resolve=counting)
    assert (answer.body, resolved_hosts) == (b"hello", ["api.example.org"])


def test_addresses_that_are_not_allowed_are_skipped() -> None:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("10.0.0.1", "127.0.0.1")]

    with listening(RESPOND_HELLO) as port:
        assert call(f"http://a.example.org:{port}/", f"*,{LOOPBACK}", resolve=resolve).body == b"hello"


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example.org/", "file:///etc/passwd", "http://", "http://user:pw@a.example.org/", "a.example.org", "",
     "http://a.example.org:99999/", "http://a.example.org/a b", "http://a.example.org/\n", "http://[::1", "gopher://x/"],
)  # fmt: skip
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(UserFailure):
        call(url, "*")


@pytest.mark.parametrize("hosts", ["10.0.0.0/33", "a b", "*a.example.org", "a:b", "a:0", "*.", "a/b", "*.*.org"])
def test_an_invalid_list_of_hosts_is_reported(hosts: str) -> None:
    with pytest.raises(ValueError, match=r"^invalid (network|host name or address|port in) "):
        AllowedHosts.parse(f"fine.example.org,{hosts}")


def test_redirects_are_not_followed() -> None:
    with listening(
        responding(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    ) as port:
        assert call(f"http://127.0.0.1:{port}/", LOOPBACK).status == 302


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 1001\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n", b"Connection: close\r\n\r\n"],
)
def test_a_response_that_is_too_large_is_not_read_completely(head: bytes) -> None:
    with (
        listening(responding(b"HTTP/1.1 200 OK\r\n" + head + b"x" * 1001)) as port,
        pytest.raises(UserFailure, match="exceeds the limit of 1000 bytes"),
    ):
        call(f"http://127.0.0.1:{port}/", LOOPBACK)


@pytest.mark.parametrize("drop", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"])
def test_a_slow_response_times_out(drop: bytes) -> None:
    over = threading.Event()

    def drip(peer: socket.socket) -> None:
        peer.recv(65_536)
        peer.sendall(drop)
        while not over.wait(0.05):
            peer.sendall(b"x" if drop else b"")

    with listening(drip) as port:
        with pytest.raises(SystemFailure):
            call(f"http://127.0.0.1:{port}/", LOOPBACK, RequestLimits(seconds=0.4, max_bytes=10_000))
        over.set()


@pytest.mark.parametrize("text", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"])
def test_an_invalid_response_is_a_system_failure(text: bytes) -> None:
    with listening(responding(text)) as port, pytest.raises(SystemFailure):
        call(f"http://127.0.0.1:{port}/", LOOPBACK)


def test_an_invalid_header_is_refused() -> None:
    outbound = OutboundClient(AllowedHosts.parse(LOOPBACK))
    with listening(RESPOND_HELLO) as port:
        for headers in ({"x": "a\r\nb: c"}, {"a b": "c"}, {"x": "\u20ac"}):
            with pytest.raises(UserFailure):
                outbound.call("GET", f"http://127.0.0.1:{port}/", headers, None, LIMITS)


def test_certificates_are_verified_for_the_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.example.org").configure_cert(context)

    def answer(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as secure:
            RESPOND_HELLO(secure)

    with listening(answer) as port:
        for trusted, host, is_valid in ((True, "api", True), (True, "other", False), (False, "api", False)):
            client = ssl.create_default_context()
            if trusted:
                authority.configure_trust(client)
            monkeypatch.setattr(module, "_ssl_context", lambda client=client: client)
            arguments = (f"https://{host}.example.org:{port}/", f"*,{LOOPBACK}", LIMITS, resolving("127.0.0.1"))
            if is_valid:
                assert call(*arguments).body == b"hello"
            else:
                with pytest.raises(SystemFailure, match="certificate"):
                    call(*arguments)


@pytest.mark.parametrize(
    ("status", "after", "seconds"),
    [(429, "7", 7.0), (429, "", 0.0), (429, "Wed, 21 Oct", 0.0), (503, "3", 3.0), (503, "", None), (200, "5", None)],
)
def test_throttling_is_recognized_by_status_and_retry_after(status: int, after: str, seconds: float | None) -> None:
    throttled = parse_throttling(OutboundResponse(status, {"retry-after": after} if after else {}, b""))
    assert (throttled.retry_after if throttled else None) == seconds
