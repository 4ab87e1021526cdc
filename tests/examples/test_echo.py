"""Messages that start with `echo` are repeated in their channel."""

import pytest

from .world import World

pytestmark = pytest.mark.acceptance

FLOW = "echo.yaml"


def test_it_is_repeated_in_its_thread(world: World) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent", "SendMessageFailed"]})
    said = {"channelId": "C1", "user": {"id": "U1"}, "message": "echo hello", "threadTimestamp": "17.5"}
    slack.tell("ReceivedMessage", said)
    told = {"channelId": "C1", "threadTimestamp": "17.5", "message": "<@U1>, you said: hello"}
    assert slack.do("MessageSent") == ("SendMessage", told)


def test_nothing_else_is(world: World) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent", "SendMessageFailed"]})
    slack.tell(
        "ReceivedMessage", {"channelId": "C1", "user": {"id": "U1"}, "message": "an echo", "threadTimestamp": ""}
    )
    assert world.outcomes("echo", "ReceivedMessage")["echo"]["outcome"] == "criteria"
