"""A request on its way to an event: found, bounded, checked, read, sent, answered."""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.packs.webhook.contents import UnreadableError, fields, read_body
from flyte_client.packs.webhook.settings import Hook
from flyte_client.packs.webhook.signatures import CHECKS, Signed

PLAIN_KEY = re.compile(r"[\x21-\x7e]{1,150}\Z")
# After the Flyte server was found away, for how many seconds nobody else is kept waiting for it.
BREATHER = 2.0
RETRY_AFTER = "5"
REFUSALS = {
    400: "Flyte does not take this as an event",
    413: "too large for Flyte",
    422: "this delivery came before, with other content",
}

logger = logging.getLogger(__name__)

Send = Callable[[str, Any, str | None], None]
"""Sends an event's name, payload and key; raises `ServerAwayError` when that takes too long, or `RefusedError`."""


@dataclass(frozen=True)
class Request:
    """A request as it came. Names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What the sender is told."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Receiver:
    """Answers requests to `hooks`; may be called from many threads."""

    def __init__(self, hooks: tuple[Hook, ...], send: Send) -> None:
        self._hooks = {hook.path: hook for hook in hooks}
        self._send = send
        self._away_until = 0.0

    def refusal(self, method: str, path: str) -> Answer | None:
        """What is to be said before any body is read."""
        hook = self._hooks.get(path)
        if hook is None:
            return Answer(404, "there is no such hook")
        if method not in hook.methods:
            return Answer(405, "not with this method", {"Allow": ", ".join(hook.methods)})
        return None

    def receive(self, request: Request) -> Answer:
        """202 when the server has accepted the event, which `refusal` had nothing against."""
        hook = self._hooks[request.path]
        if hook.sender != "none":
            signed = Signed(request.headers, request.body, time.time())
            if not CHECKS[hook.sender](hook.secret, signed):
                logger.warning("signature_wrong hook=%s", hook.name)
                return Answer(401, "the signature is missing or wrong")
        try:
            content = read_body(request.headers.get("content-type", ""), request.body)
            payload = _payload(hook, request, content)
        except UnreadableError as error:
            return Answer(error.status, str(error))
        return _challenge(hook, content) or self._deliver(hook, payload, _key(hook, request))

    def _deliver(self, hook: Hook, payload: Mapping[str, Any], key: str | None) -> Answer:
        if time.monotonic() < self._away_until:
            return _away()
        try:
            self._send(hook.event, payload, key)
        except ServerAwayError:
            self._away_until = time.monotonic() + BREATHER
            return _away()
        except RefusedError as refusal:
            if refusal.status in REFUSALS:
                return Answer(409 if refusal.status == 422 else refusal.status, REFUSALS[refusal.status])
            return _away()  # a token that has expired, say: the sender can't help it, and should come again
        return Answer(202, "accepted")


def _payload(hook: Hook, request: Request, content: Any) -> dict[str, Any]:
    headers = {name: request.headers[name.lower()] for name in hook.headers if name.lower() in request.headers}
    return {
        "hook": hook.name,
        "method": request.method,
        "path": request.path,
        "query": fields(request.query),
        "headers": headers,
        "body": content,
    }


def _key(hook: Hook, request: Request) -> str | None:
    given = request.headers.get(hook.delivery_id.lower(), "") if hook.delivery_id else ""
    if not given:
        return None
    if not PLAIN_KEY.match(given):
        given = hashlib.sha256(given.encode("utf-8", "surrogateescape")).hexdigest()
    return f"webhook/{hook.name}/{given}"


def _challenge(hook: Hook, content: Any) -> Answer | None:
    """Slack asks a new address to repeat a word before it sends events there."""
    if hook.sender != "slack" or not isinstance(content, dict) or content.get("type") != "url_verification":
        return None
    return Answer(200, str(content.get("challenge", "")))


def _away() -> Answer:
    return Answer(503, "Flyte can't take it now", {"Retry-After": RETRY_AFTER})
