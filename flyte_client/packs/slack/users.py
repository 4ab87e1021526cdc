"""Cache of Slack users."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from flyte_client.packs.slack.web_api import SlackClient, SlackError

MAX_CACHED_USERS = 5000
CACHE_SECONDS = 3600.0
# Time after a failed lookup before the next one for this user.
FAILURE_CACHE_SECONDS = 60.0

logger = logging.getLogger(__name__)

SlackUser = Mapping[str, str]


class UserCache:
    """Users with the original pack's fields: `id`, `name`, `email`, `title`, `firstName`, `lastName`.

    Fields that Slack does not provide are empty. Not thread-safe.
    """

    def __init__(self, slack: SlackClient) -> None:
        self._slack = slack
        self._entries: OrderedDict[str, tuple[float, SlackUser]] = OrderedDict()

    def get(self, user_id: str, stop_event: threading.Event) -> SlackUser:
        expires_at, cached = self._entries.get(user_id, (0.0, {}))
        if time.monotonic() < expires_at:
            return cached
        try:
            user, lifetime = _build_user(user_id, self._slack.get_user(user_id, stop_event)), CACHE_SECONDS
        except SlackError as error:
            logger.warning("user_unknown user=%s reason=%r", user_id, str(error))
            user, lifetime = cached or _build_user(user_id, {}), FAILURE_CACHE_SECONDS
        self._entries[user_id] = time.monotonic() + lifetime, user
        self._entries.move_to_end(user_id)
        if len(self._entries) > MAX_CACHED_USERS:
            self._entries.popitem(last=False)
        return user


def _build_user(user_id: str, user: Mapping[str, Any]) -> SlackUser:
    profile = user.get("profile")
    profile_fields = profile if isinstance(profile, dict) else {}
    return {
        "id": user_id,
        "name": str(user.get("name") or ""),
        "email": str(profile_fields.get("email") or ""),
        "title": str(profile_fields.get("title") or ""),
        "firstName": str(profile_fields.get("first_name") or ""),
        "lastName": str(profile_fields.get("last_name") or ""),
    }
