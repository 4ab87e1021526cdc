"""Client for Slack's Web API, with its rate limits."""

import http.client
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from flyte_client.packs.common.errors import ServiceError
from flyte_client.packs.common.optional_import import require_extra
from flyte_client.packs.common.rest_client import NEVER_SET, TOO_MANY_REQUESTS
from flyte_client.packs.slack.settings import SlackSettings

# Slack's errors for an invalid token, with which every call fails.
BAD_TOKEN_ERRORS = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"}
)

logger = logging.getLogger(__name__)


class SlackError(ServiceError):
    """A failed call to Slack; `bad_token` is True for an invalid token."""

    def __init__(self, reason: str, *, temporary: bool = False, bad_token: bool = False) -> None:
        super().__init__(reason, temporary=temporary)
        self.bad_token = bad_token


class SlackClient:
    """Thread-safe client with the bot's token. All calls raise `SlackError`.

    A call that Slack answers with 429 is retried when Slack allows it, if that is within `retry_seconds`. Other calls
    are not retried, because after a lost response the message may have been posted.
    """

    def __init__(self, settings: SlackSettings) -> None:
        with require_extra("slack"):
            from slack_sdk import WebClient
            from slack_sdk.errors import SlackApiError, SlackClientError
        self._api_error_type: type[Any] = SlackApiError
        self._connection_errors = (OSError, http.client.HTTPException, SlackClientError)
        self._settings = settings
        # At lower levels the library logs messages, and addresses that give access like a token.
        self.sdk_logger = logging.getLogger("flyte_client.packs.slack.sdk")
        self.sdk_logger.setLevel(logging.WARNING)
        self.web_client = WebClient(
            token=settings.token,
            base_url=settings.api_url,
            timeout=settings.timeout,  # type: ignore[arg-type] # fractions of seconds work too
            logger=self.sdk_logger,
            retry_handlers=[],
        )
        self._not_before: dict[str, float] = {}

    def post_message(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Post a message with Slack's fields."""
        return self._call("chat.postMessage", json=dict(message))

    def get_user(self, user_id: str, stop_event: threading.Event) -> Mapping[str, Any]:
        return get_mapping(self._call("users.info", stop_event, data={"user": user_id}), "user")

    def get_identity(self, stop_event: threading.Event) -> Mapping[str, Any]:
        """Return the token's identity: `user_id`, `bot_id`, `team`."""
        return self._call("auth.test", stop_event)

    def join_channel(self, channel: str, stop_event: threading.Event) -> None:
        self._call("conversations.join", stop_event, json={"channel": channel})

    def open_socket_url(self, stop_event: threading.Event) -> str:
        """Return the address for the next socket mode connection; usable once, and as secret as a token."""
        token = {"Authorization": f"Bearer {self._settings.app_token}"}
        return str(self._call("apps.connections.open", stop_event, headers=token).get("url", ""))

    def _call(self, method: str, stop_event: threading.Event = NEVER_SET, **arguments: Any) -> Mapping[str, Any]:
        deadline = time.monotonic() + self._settings.retry_seconds
        while True:
            self._wait_for_rate_limit(method, deadline, stop_event)
            try:
                response = self.web_client.api_call(method, **arguments).data
            except self._api_error_type as error:
                self._handle_error(method, error.response)
                continue
            except self._connection_errors as error:
                raise SlackError(f"Slack is unreachable: {error}", temporary=True) from None
            if not isinstance(response, dict):
                raise SlackError("invalid JSON in Slack's response", temporary=True)
            return response

    def _wait_for_rate_limit(self, method: str, deadline: float, stop_event: threading.Event) -> None:
        remaining = self._not_before.get(method, 0.0) - time.monotonic()
        if remaining <= 0:
            return
        if time.monotonic() + remaining > deadline or stop_event.wait(remaining):
            raise SlackError(f"ratelimited: Slack asks to wait {remaining:.0f} seconds", temporary=True)

    def _handle_error(self, method: str, response: Any) -> None:
        """Record a rate limit and return, so that the call is retried; raise `SlackError` for other errors."""
        status = response.status_code
        content = response.data if isinstance(response.data, dict) else {}
        error = str(content.get("error") or f"status {status}")
        if status == TOO_MANY_REQUESTS or error == "ratelimited":
            delay = _parse_retry_after(response.headers)
            self._not_before[method] = time.monotonic() + delay
            logger.warning("rate_limited method=%s wait_s=%.0f", method, delay)
            return
        scope_hint = f" (requires {content['needed']})" if content.get("needed") else ""
        raise SlackError(error + scope_hint, temporary=status >= 500, bad_token=error in BAD_TOKEN_ERRORS)


def get_mapping(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a field that is an object, or an empty mapping."""
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def _parse_retry_after(headers: Mapping[str, Any]) -> float:
    """Return `Retry-After` in seconds; the library keeps the header in different cases and types."""
    for name, value in headers.items():
        if name.lower() == "retry-after":
            text = str(value[0] if isinstance(value, list) and value else value)
            return max(1.0, float(text)) if text.isdigit() and len(text) < 6 else 30.0
    return 30.0
