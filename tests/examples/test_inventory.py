"""Chat-ops for a warehouse: two messages, one flow."""

from typing import Any

import pytest

from .world import ExampleClient, ScriptedPack, states

pytestmark = pytest.mark.acceptance

FLOW = "inventory.yaml"


def packs(world: ExampleClient) -> tuple[ScriptedPack, ScriptedPack]:
    inventory = world.pack("Inventory", {"Count": ["Counted"], "Take": ["Taken", "TooFew"]})
    return world.pack("Slack", {"SendMessage": ["MessageSent"]}), inventory


def said(message: str) -> dict[str, Any]:
    return {"channelId": "C1", "message": message, "threadTimestamp": "17.5", "user": {"name": "ann"}}


@pytest.mark.parametrize(
    ("left", "reply"),
    [(12, "12 of blue-chair left"), (3, "3 of blue-chair left: please reorder")],
)
def test_a_question_is_answered_with_the_stock(world: ExampleClient, left: int, reply: str) -> None:
    slack, inventory = packs(world)
    slack.send_event("ReceivedMessage", said("stock blue-chair"))
    assert inventory.do("Counted", {"left": left, "least": 5}) == ("Count", {"item": "blue-chair"})
    assert slack.do("MessageSent")[1] == {"channelId": "C1", "threadTimestamp": "17.5", "message": reply}
    assert states(world.execution("inventory")) == {"count": "SUCCESS", "report_stock": "SUCCESS"}


def test_items_are_taken_from_the_stock(world: ExampleClient) -> None:
    slack, inventory = packs(world)
    slack.send_event("ReceivedMessage", said("take 3 blue-chair"))
    taken = {"item": "blue-chair", "number": "3", "for": "ann"}
    assert inventory.do("Taken", {"left": 9}) == ("Take", taken)
    assert slack.do("MessageSent")[1]["message"] == "ann took 3 of blue-chair, 9 left"


def test_more_than_the_stock_cannot_be_taken(world: ExampleClient) -> None:
    slack, inventory = packs(world)
    slack.send_event("ReceivedMessage", said("take 30 blue-chair"))
    inventory.do("TooFew", {"left": 9})
    assert slack.do("MessageSent")[1]["message"] == "not enough blue-chair: 30 requested, 9 left"
    assert states(world.execution("inventory")) == {"take": "SUCCESS", "report_too_few": "SUCCESS"}


@pytest.mark.parametrize("message", ["stock", "stock blue chair", "take 0 blue-chair", "take -1 x", "take some x"])
def test_other_messages_start_nothing(world: ExampleClient, message: str) -> None:
    slack, inventory = packs(world)
    slack.send_event("ReceivedMessage", said(message))
    assert inventory.poll() is None
    outcomes = world.outcomes("inventory", "ReceivedMessage")
    assert {outcome["outcome"] for outcome in outcomes.values()} == {"criteria"}
