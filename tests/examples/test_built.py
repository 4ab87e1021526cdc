"""Successful builds get a label, failed ones are reported."""

import pytest

from .world import ExampleClient

pytestmark = pytest.mark.acceptance

FLOW = "built.yaml"
BUILD = {"build": "WEB-MAIN-12", "seconds": 95, "url": "https://bamboo.example.com/browse/WEB-MAIN-12"}


def test_a_good_build_gets_its_label(world: ExampleClient) -> None:
    bamboo = world.pack("Bamboo", {"AddLabel": ["LabelAdded", "FailedToAddLabel"]})
    bamboo.send_event("BuildSuccessful", BUILD)
    assert bamboo.do("LabelAdded") == ("AddLabel", {"build": "WEB-MAIN-12", "label": "good"})


def test_a_failed_build_is_reported(world: ExampleClient) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent", "SendMessageFailed"]})
    world.pack("Bamboo", {"AddLabel": ["LabelAdded", "FailedToAddLabel"]}).send_event("BuildFailed", BUILD)
    message = "WEB-MAIN-12 failed after 95 seconds: https://bamboo.example.com/browse/WEB-MAIN-12"
    assert slack.do("MessageSent") == ("SendMessage", {"channelId": "builds", "message": message})
