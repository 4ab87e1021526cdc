"""Mapping of Slack's events to events with the original pack's payloads."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.packs.slack.users import SlackUser

EVENT_NAMES = ("ReceivedMessage", "ReactionAdded")
# Slack's other subtypes report edits, deletions and people who join or leave: they are not new messages.
MESSAGE_SUBTYPES = (None, "file_share", "me_message", "thread_broadcast")

LookUpUser = Callable[[str, threading.Event], SlackUser]
"""Function that returns the user with an id."""


def map_event(
    slack_event: Mapping[str, Any], bot_user_id: str, look_up_user: LookUpUser, stop_event: threading.Event
) -> Event | None:
    """Return the event for one of Slack's events; None for other kinds, and for actions of the pack's own user."""
    user = slack_event.get("user")
    if not isinstance(user, str) or not user or user == bot_user_id:
        return None
    if slack_event.get("type") == "message" and slack_event.get("subtype") in MESSAGE_SUBTYPES:
        return Event("ReceivedMessage", _message_payload(slack_event, look_up_user(user, stop_event)))
    if slack_event.get("type") == "reaction_added":
        author = str(slack_event.get("item_user") or "")
        return Event(
            "ReactionAdded",
            _reaction_payload(
                slack_event, look_up_user(user, stop_event), look_up_user(author, stop_event) if author else EMPTY_USER
            ),
        )
    return None


EMPTY_USER: SlackUser = {"id": "", "name": "", "email": "", "title": "", "firstName": "", "lastName": ""}


def _message_payload(slack_event: Mapping[str, Any], user: SlackUser) -> dict[str, Any]:
    timestamp = str(slack_event.get("ts") or "")
    return {
        "channelId": str(slack_event.get("channel") or ""),
        "user": dict(user),
        "message": str(slack_event.get("text") or ""),
        "timestamp": timestamp,
        "threadTimestamp": str(slack_event.get("thread_ts") or timestamp),
        "replyCount": slack_event.get("reply_count") or 0,
        "replies": slack_event.get("replies") or [],
    }


def _reaction_payload(slack_event: Mapping[str, Any], user: SlackUser, author: SlackUser) -> dict[str, Any]:
    raw_item = slack_event.get("item")
    item = raw_item if isinstance(raw_item, dict) else {}
    return {
        "channelId": str(item.get("channel") or ""),
        "user": dict(user),
        "reaction": str(slack_event.get("reaction") or ""),
        "eventTimestamp": str(slack_event.get("event_ts") or ""),
        "type": str(item.get("type") or ""),
        "itemTimestamp": str(item.get("ts") or ""),
        "itemUser": dict(author),
    }
