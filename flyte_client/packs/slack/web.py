"""Slack's Web API, with its rate limits."""

import http.client
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from flyte_client.packs.basis.needs import needed
from flyte_client.packs.slack.settings import Settings

LONGEST_WORDS = 500
TOO_MANY = 429
# What Slack answers where the token itself is at fault: no other call with it would do better.
BAD_TOKEN = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"}
)
NEVER = threading.Event()

logger = logging.getLogger(__name__)


class SlackError(Exception):
    """Slack did not do it; the text is its own word where it gave one, and `temporary` says if later it might."""

    def __init__(self, reason: str, *, temporary: bool = False, bad_token: bool = False) -> None:
        super().__init__(reason[:LONGEST_WORDS])
        self.temporary = temporary
        self.bad_token = bad_token


class Slack:
    """Calls with the bot's token, from any thread. All raise `SlackError`.

    A call that Slack answers with 429 is made again when Slack allows it, if that is within the settings' patience;
    no other is, since nobody knows whether a message was posted whose answer got lost.
    """

    def __init__(self, settings: Settings) -> None:
        with needed("slack"):
            from slack_sdk import WebClient
            from slack_sdk.errors import SlackApiError, SlackClientError
        self._refused: type[Any] = SlackApiError
        self._failed = (OSError, http.client.HTTPException, SlackClientError)
        self._settings = settings
        # What the library itself would log at lower levels holds messages, and addresses that are as good as a token.
        self.quiet = logging.getLogger("flyte_client.packs.slack.sdk")
        self.quiet.setLevel(logging.WARNING)
        self.client = WebClient(
            token=settings.token,
            base_url=settings.api_url,
            timeout=settings.timeout,  # type: ignore[arg-type] # it takes parts of seconds as well
            logger=self.quiet,
            retry_handlers=[],
        )
        self._not_before: dict[str, float] = {}

    def post(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Post a message, in Slack's own fields."""
        return self._call("chat.postMessage", json=dict(message))

    def user(self, user_id: str, ending: threading.Event) -> Mapping[str, Any]:
        return self._mapping(self._call("users.info", ending, data={"user": user_id}), "user")

    def me(self, ending: threading.Event) -> Mapping[str, Any]:
        """Who the token stands for: `user_id`, `bot_id`, `team`."""
        return self._call("auth.test", ending)

    def join(self, channel: str, ending: threading.Event) -> None:
        self._call("conversations.join", ending, json={"channel": channel})

    def socket_address(self, ending: threading.Event) -> str:
        """Where socket mode is to be spoken next; good for once, and as secret as a token."""
        token = {"Authorization": f"Bearer {self._settings.app_token}"}
        return str(self._call("apps.connections.open", ending, headers=token).get("url", ""))

    def _call(self, method: str, ending: threading.Event = NEVER, **arguments: Any) -> Mapping[str, Any]:
        deadline = time.monotonic() + self._settings.patience
        while True:
            self._wait_turn(method, deadline, ending)
            try:
                answer = self.client.api_call(method, **arguments).data
            except self._refused as refusal:
                self._heed(method, refusal.response)
                continue
            except self._failed as error:
                raise SlackError(f"Slack can't be reached: {error}", temporary=True) from None
            if not isinstance(answer, dict):
                raise SlackError("Slack's answer is no JSON", temporary=True)
            return answer

    def _wait_turn(self, method: str, deadline: float, ending: threading.Event) -> None:
        left = self._not_before.get(method, 0.0) - time.monotonic()
        if left <= 0:
            return
        if time.monotonic() + left > deadline or ending.wait(left):
            raise SlackError(f"ratelimited: Slack wants a pause of {left:.0f} seconds", temporary=True)

    def _heed(self, method: str, answer: Any) -> None:
        """Return where the call is to be made again after a pause that is noted; else raise what Slack said."""
        status = answer.status_code
        content = answer.data if isinstance(answer.data, dict) else {}
        error = str(content.get("error") or f"status {status}")
        if status == TOO_MANY or error == "ratelimited":
            pause = _seconds(answer.headers)
            self._not_before[method] = time.monotonic() + pause
            logger.warning("rate_limited method=%s wait_s=%.0f", method, pause)
            return
        needs = f" (needs {content['needed']})" if content.get("needed") else ""
        raise SlackError(error + needs, temporary=status >= 500, bad_token=error in BAD_TOKEN)

    @staticmethod
    def _mapping(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        value = answer.get(name)
        return value if isinstance(value, dict) else {}


def _seconds(headers: Mapping[str, Any]) -> float:
    """Retry-After, in whatever case and form the library has kept the header."""
    for name, value in headers.items():
        if name.lower() == "retry-after":
            text = str(value[0] if isinstance(value, list) and value else value)
            return max(1.0, float(text)) if text.isdigit() and len(text) < 6 else 30.0
    return 30.0
