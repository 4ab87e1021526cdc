"""Processing of a request: route, verify the signature, parse, send an event, respond."""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.packs.webhook.request_body import RequestBodyError, decode_content, parse_body, parse_form
from flyte_client.packs.webhook.settings import Hook
from flyte_client.packs.webhook.signatures import SIGNATURE_CHECKS, SignedRequest
from flyte_formats.decoding import decode_text

SAFE_KEY = re.compile(r"[\x21-\x7e]{1,150}\Z")
# Time after a failure of the Flyte server in which requests get 503 without another attempt.
UNAVAILABLE_SECONDS = 2.0
RETRY_AFTER = "5"
REFUSAL_TEXTS = {
    400: "invalid event",
    413: "event too large",
    422: "this delivery was already received with different content",
}

logger = logging.getLogger(__name__)

SendEvent = Callable[[str, Any, str | None], None]
"""Function that sends an event's name, payload and key. Raises `ServerAwayError` on timeout, or `RefusedError`."""


@dataclass(frozen=True)
class WebhookRequest:
    """A received request. Names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class WebhookResponse:
    """The response to the sender."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


class WebhookReceiver:
    """Thread-safe handler of requests to `hooks`."""

    def __init__(self, hooks: tuple[Hook, ...], send: SendEvent, max_bytes: int) -> None:
        self._hooks = {hook.path: hook for hook in hooks}
        self._send = send
        self._max_bytes = max_bytes
        self._unavailable_until = 0.0

    def check_route(self, method: str, path: str) -> WebhookResponse | None:
        """Return an error response that needs no body, or None."""
        hook = self._hooks.get(path)
        if hook is None:
            return WebhookResponse(404, "hook not found")
        if method not in hook.methods:
            return WebhookResponse(405, f"method {method} not allowed", {"Allow": ", ".join(hook.methods)})
        return None

    def receive(self, request: WebhookRequest) -> WebhookResponse:
        """Process a request that `check_route` accepted; return 202 when the server has accepted the event."""
        hook = self._hooks[request.path]
        if hook.sender != "none":
            signed = SignedRequest(request.headers, request.body, time.time())
            if not SIGNATURE_CHECKS[hook.sender](hook.secret, signed):
                logger.warning("signature_wrong hook=%s", hook.name)
                return WebhookResponse(401, "missing or invalid signature")
        try:
            body = decode_content(request.body, request.headers.get("content-encoding", ""), self._max_bytes)
            content = parse_body(request.headers.get("content-type", ""), body)
            payload = _build_payload(hook, request, content)
        except RequestBodyError as error:
            return WebhookResponse(error.status, str(error))
        return _answer_challenge(hook, content) or self._send_event(hook, payload, _build_event_key(hook, request))

    def _send_event(self, hook: Hook, payload: Mapping[str, Any], key: str | None) -> WebhookResponse:
        if time.monotonic() < self._unavailable_until:
            return _unavailable_response()
        try:
            self._send(hook.event, payload, key)
        except ServerAwayError:
            self._unavailable_until = time.monotonic() + UNAVAILABLE_SECONDS
            return _unavailable_response()
        except RefusedError as error:
            if error.status in REFUSAL_TEXTS:
                return WebhookResponse(409 if error.status == 422 else error.status, REFUSAL_TEXTS[error.status])
            # For example an expired token: not the sender's fault, so it should retry.
            return _unavailable_response()
        except RecursionError:
            return WebhookResponse(400, "request body is nested too deeply")
        return WebhookResponse(202, "accepted")


def _build_payload(hook: Hook, request: WebhookRequest, content: Any) -> dict[str, Any]:
    headers = {
        name: _decode_wsgi_text(value)
        for name in hook.headers
        if (value := request.headers.get(name.lower())) is not None
    }
    return {
        "hook": hook.name,
        "method": request.method,
        "path": request.path,
        "query": parse_form(request.query.encode("latin-1", "replace")),
        "headers": headers,
        "body": content,
    }


def _decode_wsgi_text(text: str) -> str:
    """Decode text that WSGI decoded as Latin-1 (PEP 3333)."""
    return decode_text(text.encode("latin-1", "replace"))


def _build_event_key(hook: Hook, request: WebhookRequest) -> str | None:
    delivery_id = request.headers.get(hook.delivery_id.lower(), "") if hook.delivery_id else ""
    if not delivery_id:
        return None
    if not SAFE_KEY.match(delivery_id):
        delivery_id = hashlib.sha256(delivery_id.encode("utf-8", "surrogateescape")).hexdigest()
    return f"webhook/{hook.name}/{delivery_id}"


def _answer_challenge(hook: Hook, content: Any) -> WebhookResponse | None:
    """Answer Slack's verification of a new address, which must repeat the challenge."""
    if hook.sender != "slack" or not isinstance(content, dict) or content.get("type") != "url_verification":
        return None
    return WebhookResponse(200, str(content.get("challenge", "")))


def _unavailable_response() -> WebhookResponse:
    return WebhookResponse(503, "Flyte is unavailable, retry later", {"Retry-After": RETRY_AFTER})
