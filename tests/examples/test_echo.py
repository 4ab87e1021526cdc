"""Messages that start with `echo` are repeated in their channel."""

import pytest

from .world import ExampleClient

pytestmark = pytest.mark.acceptance

FLOW = "echo.yaml"


def test_a_message_is_repeated_in_its_thread(world: ExampleClient) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent", "SendMessageFailed"]})
    said = {"channelId": "C1", "user": {"id": "U1"}, "message": "echo hello", "threadTimestamp": "17.5"}
    slack.send_event("ReceivedMessage", said)
    reply = {"channelId": "C1", "threadTimestamp": "17.5", "message": "<@U1>, you said: hello"}
    assert slack.do("MessageSent") == ("SendMessage", reply)


def test_other_messages_are_not_repeated(world: ExampleClient) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent", "SendMessageFailed"]})
    slack.send_event(
        "ReceivedMessage", {"channelId": "C1", "user": {"id": "U1"}, "message": "an echo", "threadTimestamp": ""}
    )
    assert world.outcomes("echo", "ReceivedMessage")["echo"]["outcome"] == "criteria"
