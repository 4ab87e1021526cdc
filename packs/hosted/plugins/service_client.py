"""JSON over HTTP for plugins: calls with secrets in their headers, and paths into responses."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from flyte_formats.decoding import decode_text, parse_charset
from flyte_site.http.input.parsing import parse_json
from packs.hosted.plugin_api.errors import SystemFailure, UserFailure
from packs.hosted.plugin_api.interfaces import SecretManager
from packs.hosted.plugins.http_client import OutboundClient, OutboundResponse, RequestLimits, parse_throttling

RETRYABLE_STATUSES = (408, 425)
ALREADY_ENDED_STATUSES = (404, 409, 410)
MAX_EXCERPT_LENGTH = 300
_SECRET_REFERENCE = re.compile(r"\{secret:([A-Za-z0-9_.-]+)\}")


class ServiceClient:
    """A client with the limits of a plugin's configuration. `{secret:name}` in a header is replaced by the secret."""

    def __init__(self, client: OutboundClient, secrets: SecretManager, timeout: timedelta, max_bytes: int) -> None:
        self._client = client
        self._secrets = secrets
        self._limits = RequestLimits(timeout.total_seconds(), max_bytes)

    def request_json(
        self, method: str, url: str, headers: Mapping[str, str], body: Any = None
    ) -> tuple[Any, dict[str, str]]:
        """Return the JSON and the headers of a successful response. Raise `Throttled`, `SystemFailure`, `UserFailure`.

        A 404 may be temporary, before the service has processed a submission: it is a `SystemFailure`, unless the
        request had a body.
        """
        response = self._send(method, url, headers, body)
        if response.status in RETRYABLE_STATUSES or response.status >= 500 or (response.status == 404 and body is None):
            raise SystemFailure(f"service responded with status {response.status}")
        if response.status >= 300:
            text = _decode_body(response)[:MAX_EXCERPT_LENGTH].replace("\x00", "")
            message = f"service responded with status {response.status}"
            raise UserFailure(message, payload={"message": message, "status": response.status, "answer": text})
        try:
            text = _decode_body(response)
            document = parse_json(text) if text.strip() else None
        except ValueError as error:
            reason = str(error)[:MAX_EXCERPT_LENGTH]
            raise SystemFailure(f"the service's response is not valid JSON: {reason}") from None
        return document, dict(response.headers)

    def request_end(self, method: str, url: str, headers: Mapping[str, str]) -> None:
        """Request the end of a job; succeeds if it has ended or is not found. Raise `Throttled`, `SystemFailure`."""
        response = self._send(method, url, headers, None)
        if response.status >= 300 and response.status not in ALREADY_ENDED_STATUSES:
            raise SystemFailure(f"service responded with status {response.status}")

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: Any) -> OutboundResponse:
        request_headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "flyte"}
        request_headers |= {name.lower(): self._with_secrets(value) for name, value in headers.items()}
        content = None
        if body is not None:
            request_headers["content-type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        response = self._client.call(method.upper(), url, request_headers, content, self._limits)
        if throttled := parse_throttling(response):
            raise throttled
        return response

    def _with_secrets(self, value: str) -> str:
        return _SECRET_REFERENCE.sub(lambda match: self._secrets.get(match[1]), value)


def _decode_body(response: OutboundResponse) -> str:
    return decode_text(response.body, parse_charset(response.headers.get("content-type", "")))


def get_at_path(value: Any, path: str) -> Any:
    """Return the value at a dotted path such as `runs.0.state`; None if it is missing. An empty path returns all."""
    for part in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def get_first_at_path(value: Any, paths: Iterable[str]) -> Any:
    """Return the first value that one of these paths has."""
    return next((value_at_path for path in paths if (value_at_path := get_at_path(value, path)) is not None), None)
