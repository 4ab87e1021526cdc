"""Challenges, with which senders verify the address of a hook."""

import hmac
from collections.abc import Mapping
from typing import Any

from flyte_client.packs.webhook.http_messages import WebhookResponse
from flyte_client.packs.webhook.settings import Hook

MAX_CHALLENGE_LENGTH = 2000
# Methods of challenges, in addition to those of the hook.
CHALLENGE_METHODS: Mapping[str, str] = {"meta": "GET", "trello": "HEAD"}


def answer_unsigned_challenge(hook: Hook, method: str, query: Mapping[str, Any]) -> WebhookResponse | None:
    """Answer a challenge that is not signed; return None for other requests."""
    if method == CHALLENGE_METHODS.get(hook.sender):
        return _answer_meta(hook, query) if hook.sender == "meta" else WebhookResponse(200, "")
    if hook.sender == "graph" and "validationToken" in query:
        return _echo(query["validationToken"])
    return None


def answer_signed_challenge(hook: Hook, content: Any) -> WebhookResponse | None:
    """Answer Slack's verification of a new address; return None for other requests."""
    if hook.sender != "slack" or not isinstance(content, dict) or content.get("type") != "url_verification":
        return None
    return _echo(content.get("challenge"))


def _answer_meta(hook: Hook, query: Mapping[str, Any]) -> WebhookResponse:
    if query.get("hub.mode") != "subscribe":
        return WebhookResponse(400, "query parameter hub.mode must be subscribe")
    if not hmac.compare_digest(hook.verify_token.encode(), str(query.get("hub.verify_token", "")).encode()):
        return WebhookResponse(403, "wrong query parameter hub.verify_token")
    return _echo(query.get("hub.challenge"))


def _echo(challenge: Any) -> WebhookResponse:
    if not isinstance(challenge, str) or not 0 < len(challenge) <= MAX_CHALLENGE_LENGTH:
        return WebhookResponse(400, f"the challenge must be text of 1 to {MAX_CHALLENGE_LENGTH} characters")
    return WebhookResponse(200, challenge)
