"""Who a Slack user is, asked once in a while."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from flyte_client.packs.slack.web import Slack, SlackError

MOST = 5000
FRESH_SECONDS = 3600.0
# After a failure, nobody is asked about this user for so long.
BREATHER = 60.0

logger = logging.getLogger(__name__)

Person = Mapping[str, str]


class People:
    """Users in the shape of the original pack: `id`, `name`, `email`, `title`, `firstName`, `lastName`.

    What Slack does not tell is empty. For one thread.
    """

    def __init__(self, slack: Slack) -> None:
        self._slack = slack
        self._known: OrderedDict[str, tuple[float, Person]] = OrderedDict()

    def get(self, user_id: str, ending: threading.Event) -> Person:
        until, known = self._known.get(user_id, (0.0, {}))
        if time.monotonic() < until:
            return known
        try:
            found, fresh = _person(user_id, self._slack.user(user_id, ending)), FRESH_SECONDS
        except SlackError as error:
            logger.warning("user_unknown user=%s reason=%r", user_id, str(error))
            found, fresh = known or _person(user_id, {}), BREATHER
        self._known[user_id] = time.monotonic() + fresh, found
        self._known.move_to_end(user_id)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return found


def _person(user_id: str, user: Mapping[str, Any]) -> Person:
    profile = user.get("profile")
    told = profile if isinstance(profile, dict) else {}
    return {
        "id": user_id,
        "name": str(user.get("name") or ""),
        "email": str(told.get("email") or ""),
        "title": str(told.get("title") or ""),
        "firstName": str(told.get("first_name") or ""),
        "lastName": str(told.get("last_name") or ""),
    }
