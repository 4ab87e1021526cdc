"""One flow for dev and prod: all actions go to the packs of the message's environment."""

import pytest

from .world import ExampleClient, ScriptedPack, states

pytestmark = pytest.mark.acceptance

FLOW = "deploy.yaml"
OTHER = {"dev": "prod", "prod": "dev"}


def by_env(world: ExampleClient, name: str, command: str, event: str) -> dict[str, ScriptedPack]:
    return {env: world.pack(name, {command: [event]}, env=env) for env in OTHER}


def said(message: str) -> dict[str, str]:
    return {"RoomId": "r1", "User": "Karl", "Message": message}


@pytest.mark.parametrize("env", OTHER)
def test_the_actions_go_only_to_packs_of_the_senders_env(world: ExampleClient, env: str) -> None:
    chats = by_env(world, "HipChat", "SendMessage", "MessageSent")
    deployers = by_env(world, "Deployer", "Deploy", "Deployed")
    chats[env].send_event("MessageReceived", said("deploy foo-app 1.2.0"))
    assert deployers[OTHER[env]].poll() is None
    assert deployers[env].do("Deployed") == ("Deploy", {"app": "foo-app", "version": "1.2.0"})
    assert chats[OTHER[env]].poll() is None
    message = f"Hi Karl - foo-app 1.2.0 runs in {env}"
    assert chats[env].do("MessageSent") == ("SendMessage", {"roomId": "r1", "message": message})
    execution = world.execution("deploy")
    assert states(execution) == {"deploy": "SUCCESS", "answer": "SUCCESS"}
    for action in execution["actions"].values():
        assert action["packLabels"] == {"env": env}
        assert action["context"]["Env"] == env
        assert action["result"]["pack"]["labels"] == {"env": env}


def test_dev_and_prod_run_side_by_side(world: ExampleClient) -> None:
    chats = by_env(world, "HipChat", "SendMessage", "MessageSent")
    deployers = by_env(world, "Deployer", "Deploy", "Deployed")
    for env, version in (("dev", "2.0"), ("prod", "1.9")):
        chats[env].send_event("MessageReceived", said(f"deploy foo-app {version}"))
    assert deployers["prod"].do("Deployed")[1]["version"] == "1.9"
    assert deployers["dev"].do("Deployed")[1]["version"] == "2.0"
    assert chats["dev"].do("MessageSent")[1]["message"].endswith("2.0 runs in dev")
    assert chats["prod"].do("MessageSent")[1]["message"].endswith("1.9 runs in prod")
    for env in OTHER:
        assert len(world.executions("deploy", actionPackLabels=f"env:{env}", state="succeeded")) == 1


def test_a_pack_with_more_labels_may_take_the_action(world: ExampleClient) -> None:
    chat = world.pack("HipChat", {"SendMessage": ["MessageSent"]}, env="prod", region="eu")
    deployer = world.pack("Deployer", {"Deploy": ["Deployed"]}, env="prod", az="b")
    chat.send_event("MessageReceived", said("deploy foo-app 1.2.0"))
    deployer.do("Deployed")
    chat.do("MessageSent")
    assert len(world.executions("deploy", state="succeeded")) == 1


def test_a_message_from_no_env_starts_nothing(world: ExampleClient) -> None:
    chat = world.pack("HipChat", {"SendMessage": ["MessageSent"]})
    chat.send_event("MessageReceived", said("deploy foo-app 1.2.0"))
    assert world.outcomes("deploy", "MessageReceived")["deploy"]["outcome"] == "criteria"
    assert world.executions("deploy") == []
