"""Client for another system's JSON REST API, with authentication, retries and error messages."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.handlers.action_context import current_action
from flyte_client.packs.common import environment as variables
from flyte_client.packs.common.errors import ServiceError
from flyte_client.transport.api_client import parse_retry_after
from flyte_client.transport.retry import backoff
from flyte_formats.characters import has_control_characters
from flyte_formats.decoding import decode_text
from flyte_formats.json_text import parse_lenient_json

MAX_RESPONSE_BYTES = 10 * 1024 * 1024
TOO_MANY_REQUESTS = 429
NEVER_SET = threading.Event()

logger = logging.getLogger(__name__)


class RestError(ServiceError):
    """A failed REST call; `status` is the HTTP status, 0 without a response."""

    def __init__(self, reason: str, *, status: int = 0, temporary: bool = False) -> None:
        super().__init__(reason, temporary=temporary)
        self.status = status


@dataclass(frozen=True)
class RestSettings:
    """Address and credentials of an API: `user` with `password`, or only `token`.

    `timeout` is the HTTP timeout of one attempt, `retry_seconds` the total time for retries of a call, in seconds.
    """

    url: str
    timeout: float
    retry_seconds: float
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def read_rest_settings(environment: Mapping[str, str], prefix: str) -> RestSettings:
    """Read `PREFIX_URL`, `_USER`, `_PASSWORD`, `_TOKEN`, `_TIMEOUT`, `_WAIT_SECONDS`. Raises `SettingsError`."""
    user, password, token = (
        variables.read_secret(environment, f"{prefix}_{name}") for name in ("USER", "PASSWORD", "TOKEN")
    )
    variables.check_credentials(user, password, f"{prefix}_USER", f"{prefix}_PASSWORD")
    if bool(user) == bool(token):
        raise SettingsError(f"{prefix}_TOKEN: set either this variable, or {prefix}_USER and {prefix}_PASSWORD")
    return RestSettings(
        url=variables.read_url(environment, f"{prefix}_URL"),
        timeout=settings.read_seconds(environment, f"{prefix}_TIMEOUT", 30.0),
        retry_seconds=settings.read_seconds(environment, f"{prefix}_WAIT_SECONDS", 60.0),
        user=user,
        password=password,
        token=token,
    )


class RestClient:
    """Thread-safe client; calls return the response's JSON value, None if it is empty, and raise `RestError`.

    While the other system is unavailable, `get` is retried; other calls only if they were surely not processed: there
    was no connection, or the response was 429. Retries end when the current action is cancelled or `stop_event` is set.
    """

    def __init__(self, rest_settings: RestSettings) -> None:
        headers = {"Accept": "application/json", "User-Agent": "flyte-packs", "X-Atlassian-Token": "no-check"}
        if rest_settings.token:
            headers["Authorization"] = f"Bearer {rest_settings.token}"
        self._auth = httpx.BasicAuth(rest_settings.user, rest_settings.password) if rest_settings.user else None
        self._settings = rest_settings
        self._http = httpx.Client(headers=headers, timeout=rest_settings.timeout, verify=httpx.create_ssl_context())

    def get(self, path: str, stop_event: threading.Event | None = None, **query: str | int) -> Any:
        return self._call_with_retry(
            lambda: self._call("GET", path, None, query), True, stop_event or _cancellation_event()
        )

    def post(self, path: str, body: Any = None, **query: str | int) -> Any:
        return self._call_with_retry(lambda: self._call("POST", path, body, query), False, _cancellation_event())

    def put(self, path: str, body: Any) -> Any:
        return self._call_with_retry(lambda: self._call("PUT", path, body, {}), False, _cancellation_event())

    def delete(self, path: str) -> Any:
        return self._call_with_retry(lambda: self._call("DELETE", path, None, {}), False, _cancellation_event())

    def _call_with_retry(self, call: Callable[[], Any], is_idempotent: bool, stop_event: threading.Event) -> Any:
        deadline = time.monotonic() + self._settings.retry_seconds
        for backoff_delay in backoff():
            try:
                return call()
            except _UnavailableError as error:
                delay = backoff_delay if error.retry_after is None else error.retry_after
                can_retry = (is_idempotent or error.is_unprocessed) and time.monotonic() + delay <= deadline
                if not can_retry or stop_event.wait(delay):
                    raise RestError(str(error), status=error.status, temporary=True) from None
                logger.warning("call_again wait_s=%.1f reason=%r", delay, str(error))
        raise AssertionError("unreachable: backoff() never ends")

    def _call(self, method: str, path: str, body: Any, query: Mapping[str, str | int]) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = self._http.build_request(
            method, self._settings.url + path, content=content, headers=headers, params=query or None
        )
        try:
            response = self._http.send(request, auth=self._auth, stream=True)
            try:
                raw = _read_body(response)
            finally:
                response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _UnavailableError(f"unreachable: {error}", is_unprocessed=True) from None
        except httpx.HTTPError as error:
            raise _UnavailableError(
                f"no response: {type(error).__name__} {error}".strip(), is_unprocessed=False
            ) from None
        return _parse_response(response, raw)


class _UnavailableError(Exception):
    """A temporary failure; `is_unprocessed` means that the request was surely not processed.

    `retry_after` is the delay in seconds that the other system asked for, or None.
    """

    def __init__(self, reason: str, *, is_unprocessed: bool, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.is_unprocessed = is_unprocessed
        self.status = status
        self.retry_after = retry_after


def quote_path_segment(text: str) -> str:
    """Quote a single path segment. Raises `ValueError` for a text that would change the path, such as `..`."""
    if text in ("", ".", "..") or has_control_characters(text):
        raise ValueError(f"invalid name {text!r}")
    return quote(text, safe="")


def _cancellation_event() -> threading.Event:
    try:
        return current_action().cancelled
    except LookupError:
        return NEVER_SET


def _read_body(response: httpx.Response) -> bytes:
    parts, size = [], 0
    for part in response.iter_bytes():
        size += len(part)
        if size > MAX_RESPONSE_BYTES:
            raise RestError(
                f"response too large, at most {MAX_RESPONSE_BYTES} bytes are allowed", status=response.status_code
            )
        parts.append(part)
    return b"".join(parts)


def _parse_response(response: httpx.Response, raw: bytes) -> Any:
    status = response.status_code
    content = _parse_json(raw)
    if status in (TOO_MANY_REQUESTS, 502, 503, 504):
        message = f"status {status}{_format_error_text(content)}"
        raise _UnavailableError(
            message, is_unprocessed=status == TOO_MANY_REQUESTS, status=status, retry_after=parse_retry_after(response)
        )
    if not 200 <= status < 300:
        raise RestError(f"status {status}{_format_error_text(content)}", status=status, temporary=status >= 500)
    if raw and content is None:
        raise RestError(f"status {status} with invalid JSON: check the address of the API", status=status)
    return content


def _parse_json(raw: bytes) -> Any:
    try:
        return parse_lenient_json(decode_text(raw)) if raw else None
    except ValueError:
        return None


def _format_error_text(content: Any) -> str:
    """Return the error message of a response in the formats of Jira, Bamboo and Bitbucket."""
    if not isinstance(content, dict):
        return ""
    errors = content.get("errors")
    error_list = errors if isinstance(errors, list) else []
    messages = [content.get("message"), *_as_list(content.get("errorMessages"))]
    messages += [error.get("message") for error in error_list if isinstance(error, dict)]
    messages += [f"{name}: {message}" for name, message in errors.items()] if isinstance(errors, dict) else []
    text = "; ".join(" ".join(message.split()) for message in messages if isinstance(message, str) and message)
    return f": {text}" if text else ""


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
