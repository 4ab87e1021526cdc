"""The chat is notified of new pull requests."""

from typing import Any

import pytest

from .world import ExampleClient

pytestmark = pytest.mark.acceptance

FLOW = "review.yaml"


def request(action: str = "opened", kind: str = "pull_request") -> dict[str, Any]:
    pull_request = {"user": {"login": "ann"}, "title": "Faster", "html_url": "https://github.com/x/y/pull/1"}
    headers = {"X-GitHub-Event": kind}
    return {"hook": "code", "headers": headers, "body": {"action": action, "pull_request": pull_request}}


def test_a_pull_request_is_posted(world: ExampleClient) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent"]})
    world.pack("Webhook").send_event("Received", request())
    message = "ann: Faster https://github.com/x/y/pull/1"
    assert slack.do("MessageSent") == ("SendMessage", {"channelId": "reviews", "message": message})


@pytest.mark.parametrize(
    "payload", [request("closed"), request(kind="ping"), {"hook": "code", "headers": {}, "body": None}]
)
def test_other_deliveries_are_not_posted(world: ExampleClient, payload: dict[str, Any]) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent"]})
    world.pack("Webhook").send_event("Received", payload)
    assert slack.poll() is None
