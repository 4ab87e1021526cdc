"""Slack's Web API, with its rate limits."""

import http.client
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from flyte_client.packs.common.optional_import import require_extra
from flyte_client.packs.slack.settings import SlackSettings

MAX_MESSAGE_LENGTH = 500
TOO_MANY_REQUESTS = 429
# What Slack answers where the token itself is at fault: no other call with it would do better.
BAD_TOKEN_ERRORS = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"}
)
NEVER_SET = threading.Event()

logger = logging.getLogger(__name__)


class SlackError(Exception):
    """Slack did not do it; the text is its own word where it gave one, and `temporary` says if later it might."""

    def __init__(self, reason: str, *, temporary: bool = False, bad_token: bool = False) -> None:
        super().__init__(reason[:MAX_MESSAGE_LENGTH])
        self.temporary = temporary
        self.bad_token = bad_token


class SlackClient:
    """Calls with the bot's token, from any thread. All raise `SlackError`.

    A call that Slack answers with 429 is made again when Slack allows it, if that is within the settings' patience;
    no other is, since nobody knows whether a message was posted whose answer got lost.
    """

    def __init__(self, settings: SlackSettings) -> None:
        with require_extra("slack"):
            from slack_sdk import WebClient
            from slack_sdk.errors import SlackApiError, SlackClientError
        self._api_error_type: type[Any] = SlackApiError
        self._connection_errors = (OSError, http.client.HTTPException, SlackClientError)
        self._settings = settings
        # What the library itself would log at lower levels holds messages, and addresses that are as good as a token.
        self.sdk_logger = logging.getLogger("flyte_client.packs.slack.sdk")
        self.sdk_logger.setLevel(logging.WARNING)
        self.web_client = WebClient(
            token=settings.token,
            base_url=settings.api_url,
            timeout=settings.timeout,  # type: ignore[arg-type] # it takes parts of seconds as well
            logger=self.sdk_logger,
            retry_handlers=[],
        )
        self._not_before: dict[str, float] = {}

    def post_message(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Post a message, in Slack's own fields."""
        return self._call("chat.postMessage", json=dict(message))

    def get_user(self, user_id: str, stop_event: threading.Event) -> Mapping[str, Any]:
        return self._get_mapping(self._call("users.info", stop_event, data={"user": user_id}), "user")

    def get_identity(self, stop_event: threading.Event) -> Mapping[str, Any]:
        """Who the token stands for: `user_id`, `bot_id`, `team`."""
        return self._call("auth.test", stop_event)

    def join_channel(self, channel: str, stop_event: threading.Event) -> None:
        self._call("conversations.join", stop_event, json={"channel": channel})

    def open_socket_url(self, stop_event: threading.Event) -> str:
        """Where socket mode is to be spoken next; good for once, and as secret as a token."""
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
                raise SlackError(f"Slack can't be reached: {error}", temporary=True) from None
            if not isinstance(response, dict):
                raise SlackError("Slack's answer is no JSON", temporary=True)
            return response

    def _wait_for_rate_limit(self, method: str, deadline: float, stop_event: threading.Event) -> None:
        remaining = self._not_before.get(method, 0.0) - time.monotonic()
        if remaining <= 0:
            return
        if time.monotonic() + remaining > deadline or stop_event.wait(remaining):
            raise SlackError(f"ratelimited: Slack wants a pause of {remaining:.0f} seconds", temporary=True)

    def _handle_error(self, method: str, response: Any) -> None:
        """Return where the call is to be made again after a pause that is noted; else raise what Slack said."""
        status = response.status_code
        content = response.data if isinstance(response.data, dict) else {}
        error = str(content.get("error") or f"status {status}")
        if status == TOO_MANY_REQUESTS or error == "ratelimited":
            delay = _parse_retry_after(response.headers)
            self._not_before[method] = time.monotonic() + delay
            logger.warning("rate_limited method=%s wait_s=%.0f", method, delay)
            return
        scope_hint = f" (needs {content['needed']})" if content.get("needed") else ""
        raise SlackError(error + scope_hint, temporary=status >= 500, bad_token=error in BAD_TOKEN_ERRORS)

    @staticmethod
    def _get_mapping(response: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        value = response.get(name)
        return value if isinstance(value, dict) else {}


def _parse_retry_after(headers: Mapping[str, Any]) -> float:
    """Retry-After, in whatever case and form the library has kept the header."""
    for name, value in headers.items():
        if name.lower() == "retry-after":
            text = str(value[0] if isinstance(value, list) and value else value)
            return max(1.0, float(text)) if text.isdigit() and len(text) < 6 else 30.0
    return 30.0
