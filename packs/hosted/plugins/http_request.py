"""HttpRequest: one HTTP call, with its response as an event."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flyte_formats.characters import has_control_characters
from flyte_formats.decoding import decode_text, parse_charset
from flyte_site.http.input.parsing import parse_json
from packs.hosted.plugin_api.config import PluginConfig
from packs.hosted.plugin_api.errors import SystemFailure, UserFailure
from packs.hosted.plugin_api.interfaces import PluginEntry, PluginSetupContext, SyncPlugin, TaskExecutionContext
from packs.hosted.plugin_api.phases import Phase, success
from packs.hosted.plugins.http_client import (
    OutboundClient,
    OutboundResponse,
    RequestLimits,
    parse_throttling,
)
from packs.hosted.ssrf_guard import DEFAULT_PORTS, AllowedHosts
from packs.hosted.url_encoding import encode_url

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
RESERVED_HEADERS = ("host", "content-length", "transfer-encoding", "connection", "idempotency-key", "accept-encoding")
INPUT_KEYS = {"url", "method", "headers", "body", "text"}
REPORTED_HEADERS = ("content-type", "location", "etag", "last-modified", "link", "x-request-id")
UNAVAILABLE_STATUSES = (502, 503, 504)


@dataclass(frozen=True)
class HttpRequestConfig(PluginConfig):
    """`request_timeout`: from the name resolution to the last byte of the response. `max_response_bytes`: of the body.
    `authorization`: name of a secret by host, sent there as the `Authorization` header (see `find_secret_name`).
    """

    request_timeout: timedelta = timedelta(seconds=20)
    max_response_bytes: int = 262_144
    authorization: dict[str, str] = field(default_factory=dict)


class HttpRequestPlugin(SyncPlugin):
    """Makes the call that the action's input describes."""

    def __init__(self, client: OutboundClient, setup: PluginSetupContext) -> None:
        self._config: HttpRequestConfig = setup.config
        self._client = client

    def get_config(self) -> HttpRequestConfig:
        return self._config

    def do(self, context: TaskExecutionContext) -> Phase:
        request = parse_input(context.input)
        headers = {"user-agent": "flyte", "accept-encoding": "identity", **request.headers}
        headers["idempotency-key"] = context.metadata.token
        if secret := find_secret_name(self._config.authorization, request.url):
            headers["authorization"] = context.secrets.get(secret)
        limits = RequestLimits(self._config.request_timeout.total_seconds(), self._config.max_response_bytes)
        response = self._client.call(request.method, request.url, headers, request.body, limits)
        if throttled := parse_throttling(response):
            raise throttled
        if response.status in UNAVAILABLE_STATUSES:
            raise SystemFailure(f"{request.host} responded with status {response.status}")
        event = "Answered" if response.status < 400 else "Refused"
        return success(event, {"url": request.url, **build_payload(response)})


@dataclass(frozen=True)
class RequestInput:
    """A request as described by an input."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None

    @property
    def host(self) -> str:
        """Return the host name of the URL, without the port."""
        return urlsplit(self.url).hostname or ""


def find_secret_name(secret_names: Mapping[str, str], url: str) -> str:
    """Return the name of the secret for the URL's scheme, host and port; '' if it has none.

    A host without a scheme means HTTPS, and without a port the default port of its scheme: a secret for
    `ci.example.org` is sent neither unencrypted nor to another service of that host.
    """
    origin = _parse_origin(url)
    return next((name for host, name in secret_names.items() if _parse_origin(_with_scheme(host)) == origin), "")


def _with_scheme(host: str) -> str:
    return host if "://" in host else f"https://{host}"


def _parse_origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None


def parse_input(value: Any) -> RequestInput:
    """Parse an input `{"url", "method", "headers", "body" (JSON) or "text"}`. Raise `UserFailure`."""
    if not isinstance(value, dict) or not isinstance(value.get("url"), str) or not set(value) <= INPUT_KEYS:
        raise UserFailure(
            f"invalid input: must be an object with url and optionally {', '.join(sorted(INPUT_KEYS - {'url'}))}"
        )
    url = encode_url(value["url"])
    method = str(value.get("method") or ("POST" if {"body", "text"} & set(value) else "GET")).strip().upper()
    if method not in METHODS:
        raise UserFailure(f"method {method[:20]!r} is not allowed; use one of {', '.join(METHODS)}")
    headers = parse_headers(value.get("headers") or {})
    if "body" in value and "text" in value:
        raise UserFailure("invalid input: use either body (JSON) or text, not both")
    if "body" in value:
        headers.setdefault("content-type", "application/json")
        return RequestInput(method, url, headers, json.dumps(value["body"], ensure_ascii=False).encode())
    if "text" in value:
        headers.setdefault("content-type", "text/plain; charset=utf-8")
        return RequestInput(method, url, headers, str(value["text"]).encode())
    return RequestInput(method, url, headers, None)


def parse_headers(raw_headers: Any) -> dict[str, str]:
    """Parse the headers of an input, with names in lower case. Raise `UserFailure`."""
    if not isinstance(raw_headers, dict) or not all(
        isinstance(value, str | int | float) for value in raw_headers.values()
    ):
        raise UserFailure("invalid headers: must be an object of strings")
    headers = {str(name).lower(): str(value).strip() for name, value in raw_headers.items()}
    for name, value in headers.items():
        if name in RESERVED_HEADERS:
            raise UserFailure(f"header {name[:80]!r} is not allowed")
        if has_control_characters(value.replace("\t", " ")):
            raise UserFailure(f"header {name[:80]!r}: line breaks and other control characters are not allowed")
    return headers


def build_payload(response: OutboundResponse) -> dict[str, Any]:
    """Return a response as an event's payload: the body as JSON if its content type is JSON, else as text."""
    headers = {name: value for name, value in response.headers.items() if name in REPORTED_HEADERS}
    payload: dict[str, Any] = {"status": response.status, "headers": headers}
    content_type = response.headers.get("content-type", "")
    text = decode_text(response.body, parse_charset(content_type))
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        try:
            return payload | {"body": parse_json(text)}
        except ValueError:
            pass
    return payload | {"text": text.replace("\x00", "\ufffd")}


def build_entry(allowed_hosts: str) -> PluginEntry:
    """Build the plugin's entry; it may call only these hosts (FLYTE_WEBAPI_ALLOWED_HOSTS)."""
    return PluginEntry(
        id="HttpRequest",
        supported_task_types=("Call",),
        loader=partial(_load_plugin, allowed_hosts),
        config=HttpRequestConfig(),
        events={"Call": ("Answered", "Refused")},
    )


def _load_plugin(allowed_hosts: str, setup: PluginSetupContext) -> HttpRequestPlugin:
    return HttpRequestPlugin(OutboundClient(AllowedHosts.parse(allowed_hosts)), setup)
