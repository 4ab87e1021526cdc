"""The plugin HttpRequest: one call, and the result for each kind of response."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from flows.engine.jobs import HostedResults
from packs.hosted.plugin_api.errors import SystemFailure, Throttled, UserFailure
from packs.hosted.plugin_api.interfaces import PluginSetupContext
from packs.hosted.plugin_api.phases import Phase
from packs.hosted.plugins import http_request
from packs.hosted.plugins.http_request import HttpRequestConfig, find_secret_name, parse_input
from packs.hosted.ssrf_guard import HostNotAllowedError
from tests.hosted.stub_plugin import ask, host_plugins, result
from tests.hosted.web_service import LOOPBACK, Metrics, Secrets, WebService, context, web_service

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def running() -> Iterator[WebService]:
    with web_service() as service:
        yield service


@pytest.fixture
def service(running: WebService) -> WebService:
    running.requests.clear()
    running.respond_with(200, {"fine": True})
    return running


def do(input: Any, allowed: str = LOOPBACK, secrets: Secrets | None = None, **config: Any) -> Phase:
    setup = PluginSetupContext(replace(HttpRequestConfig(), **config), Metrics(), secrets or Secrets())
    plugin = http_request.build_entry(allowed).loader(setup)
    assert isinstance(plugin, http_request.HttpRequestPlugin)
    return plugin.do(context(input, secrets))


def test_a_response_is_an_event_with_its_json(service: WebService) -> None:
    phase = do({"url": f"{service.url}/a?b=c"})
    assert (phase.event, phase.payload["status"], phase.payload["body"]) == ("Answered", 200, {"fine": True})
    (request,) = service.requests
    assert (request.method, request.path, request.headers["idempotency-key"]) == ("GET", "/a?b=c", "action-1")


def test_a_response_without_valid_json_is_text(service: WebService) -> None:
    service.respond = lambda method, path: (200, {"content-type": "text/plain"}, b"a\x00b\xff")
    assert do({"url": service.url}).payload["text"] == "a\ufffdb\ufffd"
    service.respond = lambda method, path: (200, {"content-type": "application/json"}, b"{nan: NaN")
    assert do({"url": service.url}).payload["text"] == "{nan: NaN"


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("application/json", b'\xef\xbb\xbf{"a": "\xc3\xa9"}', {"a": "é"}),
        ("application/json", '{"a": "é"}'.encode("utf-16"), {"a": "é"}),
        ("application/json; charset=ISO-8859-1", b'{"a": "\xe9"}', {"a": "é"}),
        ("application/problem+json", b'{"a": "\xe9"}', {"a": "é"}),
        ("application/json", b'{"a": "\\ud83d"}', {"a": "\ufffd"}),
        ("text/plain; charset=koi8-r", "Привет".encode("koi8-r"), "Привет"),
        ("text/plain", "Grüße".encode(), "Grüße"),
        ("text/csv", b"\xef\xbb\xbfname;gr\xc3\xb6\xc3\x9fe", "name;größe"),
        ("text/plain", b"Gr\xfc\xdfe \x96 \x80", "Grüße – €"),
        ("text/xml", '<?xml version="1.0" encoding="windows-1251"?><a>Да</a>'.encode("cp1251"), None),
        ("application/json", b'{"a": 1e400}', '{"a": 1e400}'),
    ],
)
def test_a_body_is_decoded_by_its_mark_its_charset_or_as_utf8_or_windows_1252(
    service: WebService, content_type: str, body: bytes, value: Any
) -> None:
    service.respond = lambda method, path: (200, {"content-type": content_type}, body)
    payload = do({"url": service.url}).payload
    if value is None:
        assert payload["text"].endswith("<a>Да</a>")
    else:
        assert payload["text" if isinstance(value, str) else "body"] == value


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_compressed_body_is_decompressed_within_the_limit(
    service: WebService, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    headers = {"content-type": "application/json", "content-encoding": encoding}
    service.respond = lambda method, path: (200, headers, compress(b'{"a": 1}'))
    assert do({"url": service.url}, max_response_bytes=30).payload["body"] == {"a": 1}
    service.respond = lambda method, path: (200, headers, compress(b" " * 1_000_000))
    with pytest.raises(UserFailure, match="decompressed response exceeds the limit of 5000 bytes"):
        do({"url": service.url}, max_response_bytes=5000)


def test_a_body_whose_encoding_is_invalid_is_a_failure(service: WebService) -> None:
    service.respond = lambda method, path: (200, {"content-encoding": "br"}, b"x")
    with pytest.raises(UserFailure, match="unsupported content encoding 'br'"):
        do({"url": service.url})
    service.respond = lambda method, path: (200, {"content-encoding": "gzip"}, b"not compressed")
    with pytest.raises(SystemFailure, match="invalid compressed content"):
        do({"url": service.url})


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/größe?q=a b", "/gr%C3%B6%C3%9Fe?q=a%20b"),
        ("/a%20b/ü?x=%C3%BC&y=1+2#ä", "/a%20b/%C3%BC?x=%C3%BC&y=1+2"),
        ("/日本/🚀", "/%E6%97%A5%E6%9C%AC/%F0%9F%9A%80"),
        ('/a"b|c{d}', "/a%22b%7Cc%7Bd%7D"),
        ("/a?b=[1]&c='x'", "/a?b=[1]&c='x'"),
        ("/trimmed\r\n", "/trimmed"),
        ("?", "/?"),
    ],
)
def test_a_url_is_encoded(service: WebService, path: str, sent: str) -> None:
    assert do({"url": f" {service.url}{path}"}).event == "Answered"
    assert [request.path for request in service.requests] == [sent if sent != "/?" else "/"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"url": "http://x/a\nb"}, "line breaks and other control characters are not allowed"),
        ({"url": "http://a b/"}, "'a b' is not a host"),
        ({"url": "http://☃/"}, "'☃' is not a host"),
        ({"url": "example.org/ü"}, "must begin with http:// or https://"),
        ({"headers": {"X-Name": "a\u2028b"}}, "header 'x-name': line breaks and other control characters"),
        ({"headers": {"X-Name": "日本"}}, "header 'x-name': invalid character '日'"),
        ({"headers": {"Host": "y"}}, "header 'host' is not allowed"),
    ],
)
def test_an_invalid_url_or_header_is_refused_at_once_with_the_reason(
    service: WebService, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserFailure, match=re.escape(reason)):
        do({"url": service.url} | changes)
    assert service.requests == []


def test_a_header_can_have_a_tab_and_characters_of_latin_1(service: WebService) -> None:
    do({"url": service.url, "headers": {"X-Name": "a\tb\u00a0é\u00ad\n"}})
    assert service.requests[0].headers["x-name"] == "a\tb\u00a0é\u00ad"


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_an_error_response_is_the_event_refused(service: WebService, status: int) -> None:
    service.respond_with(status, {"error": "no"})
    phase = do({"url": service.url})
    assert (phase.event, phase.payload["status"], phase.payload["body"]) == ("Refused", status, {"error": "no"})


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_unavailable_service_is_a_system_failure(service: WebService, status: int) -> None:
    service.respond_with(status)
    with pytest.raises(SystemFailure):
        do({"url": service.url})


def test_throttling_has_the_time_of_retry_after(service: WebService) -> None:
    service.respond_with(429, retry_after="12")
    with pytest.raises(Throttled) as raised:
        do({"url": service.url})
    assert raised.value.retry_after == 12


def test_a_body_is_sent_as_json_or_text(service: WebService) -> None:
    do({"url": service.url, "body": {"a": ["ü"]}, "headers": {"X-Mine": "1"}})
    do({"url": service.url, "text": "plain", "method": "put", "headers": {"Content-Type": "text/csv"}})
    first, second = service.requests
    assert (first.method, json.loads(first.body), first.headers["content-type"]) == (
        "POST", {"a": ["ü"]}, "application/json",
    )  # fmt: skip
    assert (second.method, second.body, second.headers["content-type"]) == ("PUT", b"plain", "text/csv")
    assert first.headers["x-mine"] == "1"


def test_a_secret_is_sent_only_to_its_host(service: WebService) -> None:
    secrets = Secrets(ci="Bearer s3cret")
    for host in (service.url, "http://ci.example.org", "127.0.0.1", service.url.replace("http:", "https:")):
        do({"url": service.url}, secrets=secrets, authorization={host: "ci"})
    assert [request.headers.get("authorization") for request in service.requests] == ["Bearer s3cret", None, None, None]


@pytest.mark.parametrize(
    ("host", "url", "is_sent"),
    [
        ("ci.example.org", "https://ci.example.org/a", True),
        ("ci.example.org", "https://CI.example.org.:443/a", True),
        ("ci.example.org", "http://ci.example.org/a", False),
        ("ci.example.org", "http://ci.example.org:443/a", False),
        ("ci.example.org", "https://ci.example.org:8443/a", False),
        ("ci.example.org", "https://ci.example.org.evil.net/a", False),
        ("ci.example.org", "https://[bad/", False),
        ("ci.example.org:8443", "https://ci.example.org:8443/a", True),
        ("ci.example.org:8443", "https://ci.example.org/a", False),
        ("http://ci.example.org:8080", "http://ci.example.org:8080/a", True),
        ("http://ci.example.org", "http://ci.example.org:80/a", True),
        ("http://ci.example.org", "https://ci.example.org/a", False),
    ],
)
def test_a_secret_is_bound_to_scheme_host_and_port(host: str, url: str, is_sent: bool) -> None:
    assert find_secret_name({host: "ci"}, url) == ("ci" if is_sent else "")


def test_a_host_that_is_not_allowed_is_not_called(service: WebService) -> None:
    with pytest.raises(HostNotAllowedError):
        do({"url": service.url}, allowed="*")
    assert service.requests == []


def test_white_space_around_the_parts_of_a_request_is_removed() -> None:
    request = parse_input({"url": " http://x/a\n", "method": "put\n", "headers": {"A": "b\n"}})
    assert (request.url, request.method, request.headers) == ("http://x/a", "PUT", {"a": "b"})


@pytest.mark.parametrize(
    "request_input",
    [None, "http://x/", {}, {"url": 5}, {"url": "http://x/", "method": "BREW"}, {"url": "http://x/", "headers": ["a"]},
     {"url": "http://x/", "headers": {"Host": "y"}}, {"url": "http://x/", "headers": {"a": "b\r\nc: d"}},
     {"url": "http://x/", "body": 1, "text": "1"}, {"url": "http://x/", "more": 1},
     {"url": "http://x/", "headers": {"a": None}}],
)  # fmt: skip
def test_an_invalid_input_is_refused(request_input: Any) -> None:
    with pytest.raises(UserFailure):
        parse_input(request_input)


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_flow_calls_a_service(service: WebService) -> None:
    hosting = host_plugins(http_request.build_entry(LOOPBACK))
    ask(pack="HttpRequest", name="Call", input={"url": service.url})
    hosting.reconcile("HttpRequest", HostedResults())
    assert (result()["event"], result()["payload"]["body"]) == ("Answered", {"fine": True})
