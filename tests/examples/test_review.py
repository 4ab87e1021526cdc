"""The chat is notified of new pull requests."""

from typing import Any

import pytest

from .world import World

pytestmark = pytest.mark.acceptance

FLOW = "review.yaml"


def request(action: str = "opened", kind: str = "pull_request") -> dict[str, Any]:
    pull_request = {"user": {"login": "ann"}, "title": "Faster", "html_url": "https://github.com/x/y/pull/1"}
    headers = {"X-GitHub-Event": kind}
    return {"hook": "code", "headers": headers, "body": {"action": action, "pull_request": pull_request}}


def test_a_pull_request_is_posted(world: World) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent"]})
    world.pack("Webhook").tell("Received", request())
    message = "ann: Faster https://github.com/x/y/pull/1"
    assert slack.do("MessageSent") == ("SendMessage", {"channelId": "reviews", "message": message})


@pytest.mark.parametrize(
    "given", [request("closed"), request(kind="ping"), {"hook": "code", "headers": {}, "body": None}]
)
def test_other_deliveries_are_not(world: World, given: dict[str, Any]) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent"]})
    world.pack("Webhook").tell("Received", given)
    assert slack.poll() is None
