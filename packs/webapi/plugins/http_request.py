"""HttpRequest: one HTTP call, and its answer as an event."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from flyte_site.rest.documents import parse_json
from packs.webapi.config import PluginConfig
from packs.webapi.errors import SystemFailure, UserFailure
from packs.webapi.interfaces import PluginEntry, PluginSetupContext, SyncPlugin, TaskExecutionContext
from packs.webapi.outbound import AllowedHosts, Answer, Bounds, Outbound, throttled_by
from packs.webapi.phases import Phase, success

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OWN_HEADERS = ("host", "content-length", "transfer-encoding", "connection", "idempotency-key", "accept-encoding")
KEYS = {"url", "method", "headers", "body", "text"}
SHOWN_HEADERS = ("content-type", "location", "etag", "last-modified", "link", "x-request-id")
AWAY = (502, 503, 504)


@dataclass(frozen=True)
class HttpRequestConfig(PluginConfig):
    """`request_timeout`: from the first look at the host's name to the answer's last byte. `max_response_bytes`: of the
    body. `authorization`: by host, the name of a secret that is sent there as `Authorization`."""

    request_timeout: timedelta = timedelta(seconds=20)
    max_response_bytes: int = 262_144
    authorization: dict[str, str] = field(default_factory=dict)


class HttpRequest(SyncPlugin):
    """Makes the call that the action's input describes."""

    def __init__(self, outbound: Outbound, setup: PluginSetupContext) -> None:
        self._config: HttpRequestConfig = setup.config
        self._outbound = outbound

    def get_config(self) -> HttpRequestConfig:
        return self._config

    def do(self, context: TaskExecutionContext) -> Phase:
        request = read(context.input)
        headers = {"user-agent": "flyte", "accept-encoding": "identity", **request.headers}
        headers["idempotency-key"] = context.metadata.token
        if secret := self._config.authorization.get(request.host):
            headers["authorization"] = context.secrets.get(secret)
        bounds = Bounds(self._config.request_timeout.total_seconds(), self._config.max_response_bytes)
        answer = self._outbound.call(request.method, request.url, headers, request.body, bounds)
        if slower := throttled_by(answer):
            raise slower
        if answer.status in AWAY:
            raise SystemFailure(f"{request.host} answered {answer.status}")
        event = "Answered" if answer.status < 400 else "Refused"
        return success(event, {"url": request.url, **shown(answer)})


@dataclass(frozen=True)
class Request:
    """A request as an input describes it."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None

    @property
    def host(self) -> str:
        """The host's name in the URL, without its port."""
        rest = self.url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
        return rest.rpartition("@")[2].partition(":")[0].lower()


def read(given: Any) -> Request:
    """The request of an input: `{"url", "method", "headers", "body" (JSON) or "text"}`. Raises `UserFailure`."""
    if not isinstance(given, dict) or not isinstance(given.get("url"), str) or not set(given) <= KEYS:
        raise UserFailure(f"the input must be an object with a url, and may have {', '.join(sorted(KEYS - {'url'}))}")
    method = str(given.get("method") or ("POST" if {"body", "text"} & set(given) else "GET")).upper()
    if method not in METHODS:
        raise UserFailure(f"the method must be one of {', '.join(METHODS)}")
    headers = read_headers(given.get("headers") or {})
    if "body" in given and "text" in given:
        raise UserFailure("the input must have body (JSON) or text, not both")
    if "body" in given:
        headers.setdefault("content-type", "application/json")
        return Request(method, given["url"], headers, json.dumps(given["body"], ensure_ascii=False).encode())
    if "text" in given:
        headers.setdefault("content-type", "text/plain; charset=utf-8")
        return Request(method, given["url"], headers, str(given["text"]).encode())
    return Request(method, given["url"], headers, None)


def read_headers(given: Any) -> dict[str, str]:
    """Headers of an input, names in lower case. Raises `UserFailure`."""
    if not isinstance(given, dict) or not all(isinstance(value, str | int | float) for value in given.values()):
        raise UserFailure("headers must be an object of texts")
    headers = {str(name).lower(): str(value) for name, value in given.items()}
    for name, value in headers.items():
        if name in OWN_HEADERS or not value.isprintable():
            raise UserFailure(f"the header {name[:80]!r} can't be set")
    return headers


def shown(answer: Answer) -> dict[str, Any]:
    """An answer as an event's payload: the body as JSON where its content type says so, else as text."""
    headers = {name: value for name, value in answer.headers.items() if name in SHOWN_HEADERS}
    told: dict[str, Any] = {"status": answer.status, "headers": headers}
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return told | {"body": parse_json(answer.body.decode())}
        except (ValueError, RecursionError):
            pass
    return told | {"text": answer.body.decode("utf-8", "replace").replace("\x00", "\ufffd")}


def entry(allowed_hosts: str) -> PluginEntry:
    """The plugin's entry; it may call these hosts (FLYTE_WEBAPI_ALLOWED_HOSTS)."""
    return PluginEntry(
        id="HttpRequest",
        supported_task_types=("Call",),
        loader=partial(_load, allowed_hosts),
        config=HttpRequestConfig(),
        events={"Call": ("Answered", "Refused")},
    )


def _load(allowed_hosts: str, setup: PluginSetupContext) -> HttpRequest:
    return HttpRequest(Outbound(AllowedHosts.read(allowed_hosts)), setup)
