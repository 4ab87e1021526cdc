"""The manual's flow that labels a build."""

from typing import Any

import pytest

from .world import ExampleClient, ScriptedPack, list_states, states

pytestmark = pytest.mark.acceptance

FLOW = "label_build.json"
MESSAGE = "add label staging to build 'abc-1.2.0'"


def said(message: str, room: str = "deployRoom") -> dict[str, str]:
    return {"RoomId": room, "User": "Karl", "Message": message}


def hipchat(world: ExampleClient) -> ScriptedPack:
    return world.pack("HipChat", {"SendMessage": ["MessageSent"]}, env="staging")


def test_the_build_is_labelled_and_the_user_is_notified(world: ExampleClient) -> None:
    chat, bamboo = hipchat(world), world.pack("Bamboo", {"AddLabel": ["LabelAdded"]})
    chat.send_event("MessageReceived", said(MESSAGE))
    assert bamboo.do("LabelAdded") == ("AddLabel", {"build": "abc-1.2.0", "label": "staging"})
    answer = {"roomId": "deployRoom", "message": "Hi Karl - labeled abc-1.2.0 build as staging"}
    assert chat.do("MessageSent") == ("SendMessage", answer)
    check_audit(world.execution("LabelBuildFlow"))
    assert len(world.executions("LabelBuildFlow", state="succeeded")) == 1


def check_audit(execution: Any) -> None:
    assert execution["labels"] == {"env": "staging"}
    first, second = (execution["actions"][step] for step in ("hipchat_start_to_bamboo", "bamboo_to_hipchat"))
    assert first["context"] == {"label": "staging", "build": "abc-1.2.0", "requestor": "Karl"}
    assert first["trigger"]["event"] == "MessageReceived"
    assert first["trigger"]["pack"] == {"id": "HipChat.env.staging", "name": "HipChat", "labels": {"env": "staging"}}
    assert first["trigger"]["payload"] == said(MESSAGE)
    assert first["result"]["event"] == second["trigger"]["event"] == "LabelAdded"
    assert second["packLabels"] == {"env": "staging"}
    assert second["result"]["event"] == "MessageSent"
    assert list_states(first) == list_states(second) == ["NEW", "PENDING", "SUCCESS"]


def test_the_build_can_be_without_quotes(world: ExampleClient) -> None:
    chat, bamboo = hipchat(world), world.pack("Bamboo", {"AddLabel": ["LabelAdded"]})
    chat.send_event("MessageReceived", said("add label prod to build web-7"))
    assert bamboo.take().input == {"build": "web-7", "label": "prod"}


@pytest.mark.parametrize(
    ("message", "room"),
    [(MESSAGE, "tearoom"), ("add label", "deployRoom"), (f"please {MESSAGE}", "deployRoom"), ("hello", "deployRoom")],
)
def test_other_messages_and_rooms_start_nothing(world: ExampleClient, message: str, room: str) -> None:
    chat, bamboo = hipchat(world), world.pack("Bamboo", {"AddLabel": ["LabelAdded"]})
    chat.send_event("MessageReceived", said(message, room))
    assert bamboo.poll() is None
    assert world.outcomes("LabelBuildFlow", "MessageReceived")["hipchat_start_to_bamboo"]["outcome"] == "criteria"
    assert world.executions("LabelBuildFlow") == []


def test_a_label_of_a_different_flow_is_not_reported(world: ExampleClient) -> None:
    chat, bamboo = hipchat(world), world.pack("Bamboo", {"AddLabel": ["LabelAdded"]})
    bamboo.send_event("LabelAdded")
    assert chat.poll() is None


def test_the_answer_waits_for_the_pack_of_its_env(world: ExampleClient) -> None:
    chat, bamboo = hipchat(world), world.pack("Bamboo", {"AddLabel": ["LabelAdded"]})
    elsewhere = world.pack("HipChat", {"SendMessage": ["MessageSent"]}, env="prod")
    elsewhere.send_event("MessageReceived", said(MESSAGE))
    assert world.executions("LabelBuildFlow") == []
    chat.send_event("MessageReceived", said(MESSAGE))
    bamboo.do("LabelAdded")
    assert elsewhere.poll() is None
    assert states(world.execution("LabelBuildFlow"))["bamboo_to_hipchat"] == "NEW"
    chat.do("MessageSent")
    assert states(world.execution("LabelBuildFlow"))["bamboo_to_hipchat"] == "SUCCESS"
