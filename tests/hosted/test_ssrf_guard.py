"""Calls only to allowed hosts, at the checked address."""

import socket
from typing import Any

import pytest

from packs.hosted.plugin_api.errors import SystemFailure, UserFailure
from packs.hosted.ssrf_guard import AllowedHosts, HostNotAllowedError
from tests.hosted.outbound import LOOPBACK, RESPOND_HELLO, call, listening, resolving

pytestmark = pytest.mark.unit


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


@pytest.mark.parametrize("allowed", ["bücher.example", "BÜCHER.example:80", "xn--bcher-kva.example", "*.example"])
@pytest.mark.parametrize("host", ["bücher.example", "BÜCHER.EXAMPLE", "xn--bcher-kva.example", "bu\u0308cher.example"])
def test_a_host_name_that_is_not_ascii_can_be_allowed(allowed: str, host: str) -> None:
    with listening(RESPOND_HELLO) as port:
        allowed_hosts = f"{allowed.replace(':80', f':{port}')},{LOOPBACK}"
        assert call(f"http://{host}:{port}/", allowed_hosts, resolve=resolving("127.0.0.1")).body == b"hello"


PUBLIC = "93.184.216.34"
NOT_PUBLIC = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1", "::7f00:1", "::a00:1", "64:ff9b:1::a00:1",
    "fec0::1", "2001::1", "100::1", "192.0.0.192", "192.0.0.9", "192.88.99.1", "240.0.0.1", "198.18.0.1",
    "::ffff:0:7f00:1", "::ffff:0:a00:1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::c000:c0",
    "2002:a00:1::", "2002:c000:c0::", "3fff::1", "5f00::1", "2001:20::1", "100:0:0:1::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_allowed_name_that_resolves_to_a_non_public_address_is_refused(address: str) -> None:
    with pytest.raises(HostNotAllowedError, match=r"no address of host .* is public; add"):
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
     "http://a.example.org:99999/", "http://a example.org/", "http://a.example.org/\nb", "http://[::1", "gopher://x/",
     "http://a..ü/", "http://☃.net/", "http://a.example.org:８０８０/", "http://a.example.org\\@b.example.org/",
     "http://a.example.org/\tb", "http://a.example.org/\x85b", "http://a.example.org/\u2028b", "ｈttp://x/"],
)  # fmt: skip
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(UserFailure):
        call(url, "*")


@pytest.mark.parametrize("hosts", ["10.0.0.0/33", "a b", "*a.example.org", "a:b", "a:0", "*.", "a/b", "*.*.org"])
def test_an_invalid_list_of_hosts_is_reported(hosts: str) -> None:
    with pytest.raises(ValueError, match=r"^invalid (network|host name or address|port in) "):
        AllowedHosts.parse(f"fine.example.org,{hosts}")
