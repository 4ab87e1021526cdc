"""Only members of the group are allowed."""

from typing import Any

import pytest

from .world import ExampleClient

pytestmark = pytest.mark.acceptance

FLOW = "allowed.yaml"


@pytest.mark.parametrize(
    ("event", "payload", "message"),
    [
        ("GroupsRetrieved", {"username": "ann", "usergroups": ["staff", "deployers"]}, "ann: yes"),
        ("GroupsRetrieved", {"username": "ann", "usergroups": []}, "ann: no, you are not in deployers"),
        (
            "GroupsRetrievalError",
            {"username": "ann", "error": "user 'ann' not found"},
            "Lookup failed: user 'ann' not found",
        ),
    ],
)
def test_the_directory_decides(world: ExampleClient, event: str, payload: Any, message: str) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent", "SendMessageFailed"]})
    ldap = world.pack("Ldap", {"GetGroups": ["GroupsRetrieved", "GroupsRetrievalError"]})
    said = {"channelId": "C1", "user": {"name": "ann"}, "message": "may I deploy?", "threadTimestamp": "17.5"}
    slack.send_event("ReceivedMessage", said)
    assert ldap.do(event, payload) == ("GetGroups", {"username": "ann"})
    command, reply = slack.do("MessageSent")
    assert command == "SendMessage"
    assert reply["message"].startswith(message)
