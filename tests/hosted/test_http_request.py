"""The plugin HttpRequest: one call, and the result for each kind of response."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from flows.engine.jobs import HostedResults
from packs.hosted.plugin_api.errors import SystemFailure, Throttled, UserFailure
from packs.hosted.plugin_api.interfaces import PluginSetupContext
from packs.hosted.plugin_api.phases import Phase
from packs.hosted.plugins import http_request
from packs.hosted.plugins.http_request import HttpRequestConfig, parse_input
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
    do({"url": service.url}, secrets=secrets, authorization={"127.0.0.1": "ci"})
    do({"url": service.url}, secrets=secrets, authorization={"ci.example.org": "ci"})
    assert [request.headers.get("authorization") for request in service.requests] == ["Bearer s3cret", None]


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
