"""Calls outside: only where it is allowed, to the address that was judged, within a time and a size."""

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
BOUNDS = RequestLimits(seconds=10, max_bytes=1000)


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port at which each connection is handed to `answer`."""
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


def saying(text: bytes) -> Callable[[socket.socket], None]:
    def answer(peer: socket.socket) -> None:
        peer.recv(65_536)
        peer.sendall(text)

    return answer


HELLO = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello")


def call(url: str, allowed: str, bounds: RequestLimits = BOUNDS, resolve: Any = socket.getaddrinfo) -> OutboundResponse:
    return OutboundClient(AllowedHosts.parse(allowed), resolve).call("GET", url, {"user-agent": "flyte"}, None, bounds)


def resolving(*addresses: str) -> Any:
    """Each look-up gives the next address; the last one again and again."""
    left = list(addresses)

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        address = left.pop(0) if len(left) > 1 else left[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    return resolve


def test_an_answer_comes_whole() -> None:
    with listening(HELLO) as port:
        answer = call(f"http://127.0.0.1:{port}/x?y#z", LOOPBACK)
    assert (answer.status, answer.body, answer.headers["x-one"]) == (200, b"hello", "1")


@pytest.mark.parametrize(
    ("allowed", "host", "fine"),
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
def test_which_names_may_be_called(allowed: str, host: str, fine: bool) -> None:
    assert AllowedHosts.parse(allowed).allows_name(host, 443) is fine


PUBLIC = "93.184.216.34"
NOT_PUBLIC = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1", "::7f00:1", "::a00:1", "64:ff9b:1::a00:1",
    "fec0::1", "2001::1", "100::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_name_in_the_list_does_not_lead_to_an_address_that_is_not_public(address: str) -> None:
    with pytest.raises(HostNotAllowedError, match=r"no address of host .* is allowed; non-public"):
        call("http://api.example.org/", "api.example.org", resolve=resolving(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]", "10.0.0.1"])
def test_an_address_in_the_url_needs_a_network_in_the_list(host: str) -> None:
    for allowed in ("", "*", "api.example.org", "10.9.0.0/16"):
        with pytest.raises(HostNotAllowedError):
            call(f"http://{host}/", allowed)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "017700000001", "localhost", "localhost."])
def test_other_ways_to_write_loopback_lead_nowhere(host: str) -> None:
    with pytest.raises((HostNotAllowedError, SystemFailure)):
        call(f"http://{host}/", "*")


def test_a_name_that_means_another_address_a_moment_later_leads_to_the_first() -> None:
    asked = []
    resolve = resolving("127.0.0.1", "127.0.0.2")

    def counting(*arguments: Any, **named: Any) -> Any:
        asked.append(arguments[0])
        return resolve(*arguments, **named)

    with listening(HELLO) as port:
        answer = call(f"http://api.example.org:{port}/", f"api.example.org,{LOOPBACK}", resolve=counting)
    assert (answer.body, asked) == (b"hello", ["api.example.org"])


def test_of_several_addresses_those_that_may_not_be_called_are_left_out() -> None:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("10.0.0.1", "127.0.0.1")]

    with listening(HELLO) as port:
        assert call(f"http://a.example.org:{port}/", f"*,{LOOPBACK}", resolve=resolve).body == b"hello"


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example.org/", "file:///etc/passwd", "http://", "http://user:pw@a.example.org/", "a.example.org", "",
     "http://a.example.org:99999/", "http://a.example.org/a b", "http://a.example.org/\n", "http://[::1", "gopher://x/"],
)  # fmt: skip
def test_what_is_no_url_to_call_is_refused(url: str) -> None:
    with pytest.raises(UserFailure):
        call(url, "*")


@pytest.mark.parametrize("listed", ["10.0.0.0/33", "a b", "*a.example.org", "a:b", "a:0", "*.", "a/b", "*.*.org"])
def test_a_list_with_a_mistake_is_said(listed: str) -> None:
    with pytest.raises(ValueError, match=r"^invalid (network|host name or address|port in) "):
        AllowedHosts.parse(f"fine.example.org,{listed}")


def test_redirects_are_not_followed() -> None:
    with listening(saying(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")) as port:
        assert call(f"http://127.0.0.1:{port}/", LOOPBACK).status == 302


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 1001\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n", b"Connection: close\r\n\r\n"],
)
def test_an_answer_that_is_too_large_is_not_read_to_its_end(head: bytes) -> None:
    with (
        listening(saying(b"HTTP/1.1 200 OK\r\n" + head + b"x" * 1001)) as port,
        pytest.raises(UserFailure, match="exceeds the limit of 1000 bytes"),
    ):
        call(f"http://127.0.0.1:{port}/", LOOPBACK)


@pytest.mark.parametrize("drop", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"])
def test_an_answer_that_comes_drop_by_drop_ends_in_time(drop: bytes) -> None:
    over = threading.Event()

    def dripping(peer: socket.socket) -> None:
        peer.recv(65_536)
        peer.sendall(drop)
        while not over.wait(0.05):
            peer.sendall(b"x" if drop else b"")

    with listening(dripping) as port:
        with pytest.raises(SystemFailure):
            call(f"http://127.0.0.1:{port}/", LOOPBACK, RequestLimits(seconds=0.4, max_bytes=10_000))
        over.set()


@pytest.mark.parametrize("text", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"])
def test_an_answer_that_is_none_is_a_system_failure(text: bytes) -> None:
    with listening(saying(text)) as port, pytest.raises(SystemFailure):
        call(f"http://127.0.0.1:{port}/", LOOPBACK)


def test_a_header_that_is_none_is_refused() -> None:
    outbound = OutboundClient(AllowedHosts.parse(LOOPBACK))
    with listening(HELLO) as port:
        for headers in ({"x": "a\r\nb: c"}, {"a b": "c"}, {"x": "\u20ac"}):
            with pytest.raises(UserFailure):
                outbound.call("GET", f"http://127.0.0.1:{port}/", headers, None, BOUNDS)


def test_certificates_are_checked_by_the_host_s_name(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.example.org").configure_cert(context)

    def answer(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as secure:
            HELLO(secure)

    with listening(answer) as port:
        for trusted, host, fine in ((True, "api", True), (True, "other", False), (False, "api", False)):
            client = ssl.create_default_context()
            if trusted:
                authority.configure_trust(client)
            monkeypatch.setattr(module, "_ssl_context", lambda client=client: client)
            arguments = (f"https://{host}.example.org:{port}/", f"*,{LOOPBACK}", BOUNDS, resolving("127.0.0.1"))
            if fine:
                assert call(*arguments).body == b"hello"
            else:
                with pytest.raises(SystemFailure, match="certificate"):
                    call(*arguments)


@pytest.mark.parametrize(
    ("status", "after", "seconds"),
    [(429, "7", 7.0), (429, "", 0.0), (429, "Wed, 21 Oct", 0.0), (503, "3", 3.0), (503, "", None), (200, "5", None)],
)
def test_what_counts_as_throttling(status: int, after: str, seconds: float | None) -> None:
    found = parse_throttling(OutboundResponse(status, {"retry-after": after} if after else {}, b""))
    assert (found.retry_after if found else None) == seconds
