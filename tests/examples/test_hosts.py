"""Host administration from a chat: permissions are in the datastore, and each host has a Shell pack."""

from typing import Any

import pytest

from .world import ExampleClient, ScriptedPack, states

pytestmark = pytest.mark.acceptance

FLOW = "hosts.yaml"
DATASTORE = {"operators": "operators.json"}


def packs(world: ExampleClient) -> tuple[ScriptedPack, dict[str, ScriptedPack]]:
    shells = {host: world.pack("Shell", {"Shell": ["Output"]}, host=host) for host in ("web1", "web2")}
    return world.pack("Slack", {"SendMessage": ["MessageSent"]}), shells


def said(message: str, user: str = "U1") -> dict[str, Any]:
    return {"channelId": "C1", "message": message, "threadTimestamp": "17.5", "user": {"id": user}}


def output(exit_code: int, stderr: str = "") -> dict[str, Any]:
    return {"stdout": "active", "stderr": stderr, "exit_code": exit_code}


def test_the_service_is_restarted_on_the_host_that_was_named(world: ExampleClient) -> None:
    slack, shells = packs(world)
    slack.send_event("ReceivedMessage", said("restart nginx on web2"))
    assert shells["web1"].poll() is None
    command, script = shells["web2"].do("Output", output(0))
    assert (command, script) == (
        "Shell",
        {
            "command": 'systemctl restart -- "$SERVICE" && systemctl is-active -- "$SERVICE"',
            "env": {"SERVICE": "nginx"},
        },
    )
    assert slack.do("MessageSent")[1]["message"] == "Ann, nginx runs on web2 again"
    assert states(world.execution("hosts")) == {"restart": "SUCCESS", "report_success": "SUCCESS"}


def test_a_failed_start_is_reported_with_the_reason(world: ExampleClient) -> None:
    slack, shells = packs(world)
    slack.send_event("ReceivedMessage", said("restart nginx on web1", "U2"))
    shells["web1"].do("Output", output(5, "Unit nginx.service not found."))
    reply = "Bob, nginx does not run on web1: Unit nginx.service not found."
    assert slack.do("MessageSent")[1]["message"] == reply


def test_a_failing_host_is_reported(world: ExampleClient) -> None:
    slack, shells = packs(world)
    slack.send_event("ReceivedMessage", said("restart nginx on web1"))
    shells["web1"].do("FATAL", "no more memory")
    assert slack.do("MessageSent")[1]["message"] == "Ann, web1 does not respond: please check it"
    assert len(world.executions("hosts", state="succeeded")) == 1


@pytest.mark.parametrize(
    ("message", "user"),
    [("restart nginx on web1", "U9"), ("restart nginx;reboot on web1", "U1"), ("restart $(reboot) on web1", "U1")],
)
def test_users_without_permission_and_unknown_services_are_rejected(
    world: ExampleClient, message: str, user: str
) -> None:
    slack, shells = packs(world)
    slack.send_event("ReceivedMessage", said(message, user))
    assert [shell.poll() for shell in shells.values()] == [None, None]
    assert world.outcomes("hosts", "ReceivedMessage")["restart"]["outcome"] == "criteria"
