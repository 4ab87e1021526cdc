"""What Slack tells, as events in the original pack's shapes."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.packs.slack.people import Person

EVENTS = ("ReceivedMessage", "ReactionAdded")
# Slack's other kinds of messages tell of edits, deletions, people who come and go: they say nothing new.
SPOKEN = (None, "file_share", "me_message", "thread_broadcast")

Ask = Callable[[str, threading.Event], Person]
"""Who a user's id stands for."""


def heard(told: Mapping[str, Any], own: str, ask: Ask, ending: threading.Event) -> Event | None:
    """The event for what Slack told; None for what is no concern of flows, and for what `own`, the pack's user, did."""
    user = told.get("user")
    if not isinstance(user, str) or not user or user == own:
        return None
    if told.get("type") == "message" and told.get("subtype") in SPOKEN:
        return Event("ReceivedMessage", _message(told, ask(user, ending)))
    if told.get("type") == "reaction_added":
        author = str(told.get("item_user") or "")
        return Event("ReactionAdded", _reaction(told, ask(user, ending), ask(author, ending) if author else NOBODY))
    return None


NOBODY: Person = {"id": "", "name": "", "email": "", "title": "", "firstName": "", "lastName": ""}


def _message(told: Mapping[str, Any], user: Person) -> dict[str, Any]:
    timestamp = str(told.get("ts") or "")
    return {
        "channelId": str(told.get("channel") or ""),
        "user": dict(user),
        "message": str(told.get("text") or ""),
        "timestamp": timestamp,
        "threadTimestamp": str(told.get("thread_ts") or timestamp),
        "replyCount": told.get("reply_count") or 0,
        "replies": told.get("replies") or [],
    }


def _reaction(told: Mapping[str, Any], user: Person, author: Person) -> dict[str, Any]:
    given = told.get("item")
    item = given if isinstance(given, dict) else {}
    return {
        "channelId": str(item.get("channel") or ""),
        "user": dict(user),
        "reaction": str(told.get("reaction") or ""),
        "eventTimestamp": str(told.get("event_ts") or ""),
        "type": str(item.get("type") or ""),
        "itemTimestamp": str(item.get("ts") or ""),
        "itemUser": dict(author),
    }
