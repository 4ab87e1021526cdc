"""Calls to other services, within limits of time and size."""

import socket
import ssl
import threading

import pytest
import trustme

from packs.hosted.plugin_api.errors import SystemFailure, UserFailure
from packs.hosted.plugins import http_client as module
from packs.hosted.plugins.http_client import (
    OutboundClient,
    OutboundResponse,
    RequestLimits,
    parse_throttling,
)
from packs.hosted.ssrf_guard import AllowedHosts
from tests.hosted.outbound import LIMITS, LOOPBACK, RESPOND_HELLO, call, listening, resolving, responding

pytestmark = pytest.mark.unit


def test_a_response_is_read_completely() -> None:
    with listening(RESPOND_HELLO) as port:
        response = call(f"http://127.0.0.1:{port}/x?y#z", LOOPBACK)
    assert (response.status, response.body, response.headers["x-one"]) == (200, b"hello", "1")


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


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"])
def test_a_slow_response_times_out(head: bytes) -> None:
    finished = threading.Event()

    def drip(peer: socket.socket) -> None:
        peer.recv(65_536)
        peer.sendall(head)
        while not finished.wait(0.05):
            peer.sendall(b"x" if head else b"")

    with listening(drip) as port:
        with pytest.raises(SystemFailure):
            call(f"http://127.0.0.1:{port}/", LOOPBACK, RequestLimits(seconds=0.4, max_bytes=10_000))
        finished.set()


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

    def respond_over_tls(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as secure:
            RESPOND_HELLO(secure)

    with listening(respond_over_tls) as port:
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
