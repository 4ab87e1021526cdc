"""A chat message that runs a shell command on one host, and JSON in its output."""

import json
import os

import pytest

from tests import processes

from .world import ExampleClient, ScriptedPack, states

pytestmark = pytest.mark.acceptance

FLOW = "disk.yaml"


def packs(world: ExampleClient) -> tuple[ScriptedPack, dict[str, ScriptedPack]]:
    shells = {host: world.pack("Shell", {"Shell": ["Output"]}, host=host) for host in ("web1", "web2")}
    return world.pack("Slack", {"SendMessage": ["MessageSent"]}), shells


def said(message: str) -> dict[str, str]:
    return {"channelId": "C1", "message": message, "threadTimestamp": "17.5"}


def output(stdout: str = "", stderr: str = "", exit_code: int = 0) -> dict[str, object]:
    return {"stdout": stdout, "stderr": stderr, "exit_code": exit_code}


def test_the_named_host_runs_the_command_and_its_answer_is_posted(world: ExampleClient) -> None:
    slack, shells = packs(world)
    slack.send_event("ReceivedMessage", said("disk host=web1,path=/var"))
    assert shells["web2"].poll() is None
    command, script = shells["web1"].do("Output", output('{"free": 25, "total": 200}\n'))
    assert (command, script) == (
        "Shell",
        {
            "command": """stat --file-system --format '{"free": %a, "total": %b}' -- "$FOLDER\"""",
            "env": {"FOLDER": "/var"},
        },
    )
    answer = {"channelId": "C1", "threadTimestamp": "17.5", "message": "web1 has 12 % left at /var"}
    assert slack.do("MessageSent") == ("SendMessage", answer)
    execution = world.execution("disk")
    assert states(execution) == {"asked": "SUCCESS", "answer": "SUCCESS"}
    assert execution["actions"]["asked"]["packLabels"] == {"host": "web1"}


def test_the_command_is_one_that_a_shell_can_run(world: ExampleClient) -> None:
    slack, shells = packs(world)
    slack.send_event("ReceivedMessage", said("disk host=web2,path=/"))
    taken = shells["web2"].take()
    command, variables = taken.input["command"], os.environ | taken.input["env"]
    done = processes.run(["bash", "-c", command], env=variables, capture_output=True, text=True, check=True, timeout=30)
    disk = json.loads(done.stdout)
    taken.send_result("Output", output(done.stdout))
    left = disk["free"] * 100 // disk["total"]
    assert slack.do("MessageSent")[1]["message"] == f"web2 has {left} % left at /"


def test_a_failed_command_is_reported_too(world: ExampleClient) -> None:
    slack, shells = packs(world)
    slack.send_event("ReceivedMessage", said("disk host=web1,path=/nowhere"))
    shells["web1"].do("Output", output(stderr="No such file or directory", exit_code=1))
    assert slack.do("MessageSent")[1]["message"] == "web1: No such file or directory"
    assert states(world.execution("disk")) == {"asked": "SUCCESS", "report_error": "SUCCESS"}


@pytest.mark.parametrize(
    "message",
    ["disk host=web1,path=/;reboot", "disk host=web1,path=$(reboot)", "disk host=web1,path=/\nreboot", "disk", "hi"],
)
def test_shell_metacharacters_are_rejected(world: ExampleClient, message: str) -> None:
    slack, shells = packs(world)
    slack.send_event("ReceivedMessage", said(message))
    assert [shell.poll() for shell in shells.values()] == [None, None]
    assert world.outcomes("disk", "ReceivedMessage")["asked"]["outcome"] == "criteria"


def test_output_that_is_not_json_is_an_error_in_the_execution(world: ExampleClient) -> None:
    slack, shells = packs(world)
    slack.send_event("ReceivedMessage", said("disk host=web1,path=/var"))
    shells["web1"].do("Output", output("not JSON"))
    assert slack.poll() is None
    (error,) = world.execution("disk")["errors"]
    assert (error["stepId"], error["path"]) == ("answer", "steps[1].command.input.message")
    assert len(world.executions("disk", state="failed")) == 1
