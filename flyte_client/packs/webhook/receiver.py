"""Processing of a request: route, answer challenges, verify the sender, parse, send an event, respond."""

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.packs.webhook.challenges import (
    CHALLENGE_METHODS,
    answer_signed_challenge,
    answer_unsigned_challenge,
)
from flyte_client.packs.webhook.http_messages import RequestBodyError, WebhookRequest, WebhookResponse
from flyte_client.packs.webhook.request_body import (
    JSON_TYPE,
    decode_content,
    parse_body,
    parse_form,
    parse_json_field,
)
from flyte_client.packs.webhook.settings import Hook
from flyte_client.packs.webhook.sns import SnsVerifier
from flyte_client.packs.webhook.verification import SignedRequest, VerificationError, verify_client_state
from flyte_formats.decoding import decode_text
from flyte_formats.json_text import NestingError

SAFE_KEY = re.compile(r"[\x21-\x7e]{1,150}\Z")
# Time after a failure of the Flyte server in which requests get 503 without another attempt.
UNAVAILABLE_SECONDS = 2.0
RETRY_AFTER = "5"
MAX_DETAIL_LENGTH = 200
REFUSAL_TEXTS = {
    400: "invalid event",
    413: "event too large",
    422: "this delivery was already received with different content",
}

logger = logging.getLogger(__name__)

SendEvent = Callable[[str, Any, str | None], bool]
"""Function that sends an event's name, payload and key; returns False for a key that was received before.

Raises `ServerAwayError` on timeout, or `RefusedError`.
"""


class WebhookReceiver:
    """Thread-safe handler of requests to `hooks`. Decompressed bodies can have `max_bytes`."""

    def __init__(
        self, hooks: tuple[Hook, ...], send: SendEvent, max_bytes: int, sns_verifier: SnsVerifier | None = None
    ) -> None:
        self._hooks = {hook.path: hook for hook in hooks}
        self._send = send
        self._max_bytes = max_bytes
        self._sns_verifier = sns_verifier or SnsVerifier()
        self._unavailable_until = 0.0

    def check_route(self, method: str, path: str) -> WebhookResponse | None:
        """Return an error response that needs no body, or None."""
        hook = self._find_hook(path)
        if hook is None:
            return WebhookResponse(404, "hook not found")
        if method not in hook.methods and method != CHALLENGE_METHODS.get(hook.sender):
            return WebhookResponse(405, f"method {method} not allowed", {"Allow": ", ".join(hook.methods)})
        return None

    def receive(self, request: WebhookRequest) -> WebhookResponse:
        """Process a request that `check_route` accepted; return 202 when the server has accepted the event."""
        hook = self._find_hook(request.path)
        if hook is None:
            return WebhookResponse(404, "hook not found")
        try:
            query = parse_form(request.query.encode("latin-1", "replace"))
            challenge = answer_unsigned_challenge(hook, request.method, query)
            return challenge or self._receive_signed(hook, request, query)
        except VerificationError as error:
            return WebhookResponse(error.status, str(error), _describe_authentication(hook))
        except RequestBodyError as error:
            return WebhookResponse(error.status, str(error))

    def _find_hook(self, path: str) -> Hook | None:
        return self._hooks.get(path.rstrip("/"))

    def _receive_signed(self, hook: Hook, request: WebhookRequest, query: Mapping[str, Any]) -> WebhookResponse:
        hook.check.verify(hook.secret, SignedRequest(request.headers, request.body, time.time(), query))
        body = decode_content(request.body, request.headers.get("content-encoding", ""), self._max_bytes)
        # SNS declares its JSON as text.
        content_type = JSON_TYPE if hook.sender == "sns" else request.headers.get("content-type", "")
        content = parse_json_field(hook.json_field, parse_body(content_type, body))
        response = None
        if hook.sender == "sns":
            self._sns_verifier.verify(hook.topic, content)
            response = self._sns_verifier.confirm(hook, content)
        elif hook.sender == "graph":
            content = verify_client_state(hook.secret, content)
        response = response or answer_signed_challenge(hook, content)
        if response:
            return response
        payload = _build_payload(hook, request, query, content)
        return self._send_event(hook, payload, _build_event_key(hook, request, content))

    def _send_event(self, hook: Hook, payload: Mapping[str, Any], key: str | None) -> WebhookResponse:
        if time.monotonic() < self._unavailable_until:
            return _unavailable_response("Flyte did not respond to an earlier event")
        try:
            is_new = self._send(hook.event, payload, key)
        except ServerAwayError as error:
            self._unavailable_until = time.monotonic() + UNAVAILABLE_SECONDS
            return _unavailable_response(str(error))
        except RefusedError as error:
            if error.status in REFUSAL_TEXTS:
                status = 409 if error.status == 422 else error.status
                reason = error.detail.removeprefix("Bad Request; ")[:MAX_DETAIL_LENGTH] if error.status == 400 else ""
                text = REFUSAL_TEXTS[error.status] + (f": {reason}" if reason else "")
                return WebhookResponse(status, text, reason=str(error))
            # For example an expired token: not the sender's fault, so it should retry.
            return _unavailable_response(str(error))
        except NestingError as error:
            return WebhookResponse(400, f"invalid request: the event would be {error}")
        if not is_new:
            logger.info("event_repeated hook=%s key=%s", hook.name, key)
            return WebhookResponse(202, "already received: this delivery counts once")
        return WebhookResponse(202, "accepted")


def _build_payload(hook: Hook, request: WebhookRequest, query: Mapping[str, Any], content: Any) -> dict[str, Any]:
    headers = {
        name: _decode_wsgi_text(value)
        for name in hook.headers
        if (value := request.headers.get(name.lower())) is not None
    }
    return {
        "hook": hook.name,
        "method": request.method,
        "path": hook.path,
        "query": {name: value for name, value in query.items() if name != hook.secret_parameter},
        "headers": headers,
        "body": content,
    }


def _decode_wsgi_text(text: str) -> str:
    """Decode text that WSGI decoded as Latin-1 (PEP 3333)."""
    return decode_text(text.encode("latin-1", "replace"))


def _build_event_key(hook: Hook, request: WebhookRequest, content: Any) -> str | None:
    for name in hook.delivery_ids:
        delivery_id = _find_delivery_id(name, request, content)
        if not delivery_id:
            continue
        if not SAFE_KEY.match(delivery_id):
            delivery_id = hashlib.sha256(delivery_id.encode("utf-8", "surrogateescape")).hexdigest()
        return f"webhook/{hook.name}/{delivery_id}"
    return None


def _find_delivery_id(name: str, request: WebhookRequest, content: Any) -> str:
    """Return the value of a header, or the text or number in a field of the body; '' without one."""
    path = name.split(".")
    if path[0] != "body" or len(path) == 1:
        return request.headers.get(name.lower(), "")
    for key in path[1:]:
        content = content.get(key) if isinstance(content, dict) else None
    if isinstance(content, bool) or not isinstance(content, str | int | float):
        return ""
    return content if isinstance(content, str) else json.dumps(content)


def _describe_authentication(hook: Hook) -> dict[str, str]:
    """Return the header that HTTP requires in a response with 401 (RFC 9110, section 11.6.1)."""
    return {"WWW-Authenticate": f'{hook.authentication} realm="{hook.name}"'} if hook.authentication else {}


def _unavailable_response(reason: str) -> WebhookResponse:
    return WebhookResponse(503, "Flyte is unavailable, retry later", {"Retry-After": RETRY_AFTER}, reason)
