"""The packs as processes, with the stub server."""

import json
import os
import pty
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import processes

from .conftest import Start
from .program import ROOT
from .stub_server import PATIENCE, StubResponse, StubServer

pytestmark = pytest.mark.integration

SHELL = ("-m", "flyte_client.packs.shell")
CONSOLE = ("-m", "flyte_client.packs.console")


def shell_output(stub: StubServer, start: Start, action_input: Any, **environment: str) -> Any:
    stub.queue("Shell", action_input)
    start(*SHELL, **environment)
    return stub.wait_for("result", event="Output")[0].body["payload"]


def test_shell_registers_its_command(stub: StubServer, start: Start) -> None:
    start(*SHELL, FLYTE_LABELS="env=prod")
    (call,) = stub.wait_for("packs")
    assert call.body["name"] == "Shell"
    assert call.body["labels"] == {"env": "prod"}
    assert call.body["commands"] == [{"name": "Shell", "events": ["Output"]}]


def test_shell_runs_a_script_and_returns_its_output(stub: StubServer, start: Start) -> None:
    script = "echo oh; echo dear >&2; exit 4"
    payload = shell_output(stub, start, script)
    assert payload == {"command": script, "stdout": "oh\n", "stderr": "dear\n", "exit_code": 4}


def test_shell_takes_a_timeout_with_the_script(stub: StubServer, start: Start) -> None:
    payload = shell_output(stub, start, {"command": "printf oh >&2; sleep 600", "timeout": "4"})
    assert payload["exit_code"] == 124
    assert payload["stderr"] == "oh\n[killed after 4 seconds]\n"


def test_shell_takes_bounds_from_the_environment(stub: StubServer, start: Start) -> None:
    payload = shell_output(stub, start, "yes", FLYTE_SHELL_TIMEOUT="4", FLYTE_SHELL_OUTPUT_LIMIT="4")
    assert payload["stdout"] == "y\ny\n"
    assert payload["stderr"] == "[stdout was truncated to 4 bytes]\n[killed after 4 seconds]\n"


def test_the_log_has_the_request_id_of_an_action_if_the_server_sends_it(stub: StubServer, start: Start) -> None:
    stub.lease = "600"
    stub.queue("Shell", "echo traced")
    program = start(*SHELL)
    program.wait_for_log("action_taken command=Shell request_id=of-the-event\n")
    program.wait_for_log("action_done command=Shell request_id=of-the-event event=Output\n")


def test_the_log_is_json_if_configured(stub: StubServer, start: Start) -> None:
    stub.lease = "600"
    stub.queue("Shell", "echo traced")
    program = start(*SHELL, FLYTE_LOG_FORMAT="JSON")
    program.wait_for_log("action_done")
    program.signal()
    assert program.exit_code() == 0
    lines = [json.loads(line) for line in program.log]
    (done,) = (line for line in lines if line["event"] == "action_done")
    expected = {"command": "Shell", "request_id": "of-the-event", "event_name": "Output", "level": "info"}
    assert done.items() >= expected.items()
    assert all(line.keys() >= {"event", "level", "logger", "timestamp"} for line in lines)


def test_shell_kills_a_script_whose_action_was_cancelled(stub: StubServer, start: Start) -> None:
    stub.lease = "3"
    stub.cancelled.add("a1")
    payload = shell_output(stub, start, "echo begun; sleep 600")
    assert (payload["stdout"], payload["exit_code"]) == ("begun\n", -1)
    assert payload["stderr"] == "[killed because its action was cancelled]\n"


def test_shell_keeps_its_token_from_scripts(stub: StubServer, start: Start) -> None:
    payload = shell_output(stub, start, "echo [$FLYTE_JWT]", FLYTE_JWT="a.b.c")
    assert payload["stdout"] == "[]\n"


def test_shell_passes_only_the_listed_variables_to_scripts(stub: StubServer, start: Start) -> None:
    named = {"FLYTE_SHELL_ENV": "PATH, MINE,MISSING", "MINE": "1", "SECRET": "s3cret"}
    payload = shell_output(stub, start, "env | cut -d= -f1 | sort | tr '\\n' ' '", **named)
    assert set(payload["stdout"].split()) - {"PWD", "SHLVL", "_"} == {"MINE", "PATH"}


def test_shell_starts_scripts_in_its_folder(stub: StubServer, start: Start, tmp_path: Path) -> None:
    assert shell_output(stub, start, "pwd -P", FLYTE_SHELL_FOLDER=str(tmp_path))["stdout"] == f"{tmp_path.resolve()}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_script_finish_and_its_result_be_sent(
    stub: StubServer, start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    gate = tmp_path / "gate"
    stub.queue("Shell", f"until [ -e {gate} ]; do sleep 0.05; done; echo finished")
    program = start(*SHELL)
    program.wait_for_log("action_taken")
    program.signal(number)
    gate.touch()
    assert program.exit_code() == 0
    assert [call.body["payload"]["stdout"] for call in stub.of("result")] == ["finished\n"]


def test_a_second_signal_ends_the_pack_at_once(stub: StubServer, start: Start) -> None:
    stub.queue("Shell", "sleep 30")
    program = start(*SHELL, FLYTE_POLL_INTERVAL="3600")
    program.wait_for_log("action_taken")
    program.signal()
    # The first signal has been handled when its handler is no longer installed for the second one.
    while program.running():
        program.signal()
    assert program.exit_code() == -signal.SIGTERM
    assert stub.of("result") == []


def test_a_pack_waits_for_its_server_and_stops_while_waiting(stub: StubServer, start: Start) -> None:
    stub.stop()
    program = start(*SHELL)
    program.wait_for_log(f"can't reach {stub.url} (connection refused)")
    program.signal()
    assert program.exit_code() == 0


def test_a_pack_finds_its_server_when_it_comes_back(stub: StubServer, start: Start) -> None:
    program = start(*SHELL)
    stub.wait_for("take")
    stub.stop()
    program.wait_for_log("server_away")
    stub.forget_packs()
    stub.queue("Shell", "echo back")
    stub.start()
    (call,) = stub.wait_for("result")
    assert call.body["payload"]["stdout"] == "back\n"
    assert len(stub.of("packs")) == 2


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"FLYTE_API": ""}, "Shell: FLYTE_API: required"),
        ({"FLYTE_LABELS": "env"}, "Shell: FLYTE_LABELS: "),
        ({"FLYTE_SHELL_TIMEOUT": "long"}, "Shell: FLYTE_SHELL_TIMEOUT: "),
        ({"FLYTE_SHELL_OUTPUT_LIMIT": "-1"}, "Shell: FLYTE_SHELL_OUTPUT_LIMIT: "),
        ({"FLYTE_SHELL_FOLDER": "/nowhere"}, "Shell: FLYTE_SHELL_FOLDER: folder /nowhere not found"),
        ({"FLYTE_SHELL_ENV": "PATH,FLYTE_JWT"}, "Shell: FLYTE_SHELL_ENV: invalid or not allowed variable"),
        ({"FLYTE_SHELL_ENV": "PATH HOME"}, "Shell: FLYTE_SHELL_ENV: invalid or not allowed variable"),
        ({"LOGLEVEL": "LOUD"}, "Shell: LOGLEVEL: "),
        ({"FLYTE_LOG_FORMAT": "xml"}, "Shell: FLYTE_LOG_FORMAT: "),
    ],
)
def test_an_invalid_setting_ends_the_pack_with_one_line(start: Start, environment: dict[str, str], words: str) -> None:
    program = start(*SHELL, **environment)
    assert program.exit_code() == 2
    (line,) = program.log
    assert line.startswith(words)


def test_a_rejected_pack_ends_with_the_servers_message(stub: StubServer, start: Start) -> None:
    stub.script("packs", StubResponse(401, {"title": "Unauthorized", "detail": "the token has expired"}))
    program = start(*SHELL)
    assert program.exit_code() == 1
    assert program.log[-1] == "Shell: 401: Unauthorized; the token has expired\n"


def test_console_sends_typed_lines_like_the_slack_pack(stub: StubServer, start: Start) -> None:
    program = start(*CONSOLE, "--name", "Slack", "--channel", "C1", "--user-id", "U1", "--user-name", "Ann Other")
    program.type("flyte uk-bank-holidays\r\n\n  \nsecond é\n")
    first, second = stub.wait_for("event", 2, event="ReceivedMessage")
    assert first.path == "/p/Slack/news"
    payload = first.body["payload"]
    timestamp = payload["timestamp"]
    assert payload == {
        "channelId": "C1",
        "user": {
            "id": "U1",
            "name": "Ann Other",
            "email": "",
            "title": "",
            "firstName": "Ann",
            "lastName": "Other",
        },
        "message": "flyte uk-bank-holidays",
        "timestamp": timestamp,
        "threadTimestamp": timestamp,
        "replyCount": 0,
        "replies": [],
    }
    assert second.body["payload"]["message"] == "second é"
    assert float(second.body["payload"]["timestamp"]) > float(timestamp)


def test_console_prints_the_messages_it_sends(stub: StubServer, start: Start) -> None:
    message = {
        "channelId": "C1",
        "message": "Hey <@U1>!\n2026-01-01 - New Year’s Day\n\x1b[2J",
        "threadTimestamp": "1.2",
    }
    stub.queue("SendMessage", message)
    program = start(*CONSOLE, FLYTE_CONSOLE_CHANNEL="C1")
    (call,) = stub.wait_for("result", event="MessageSent")
    assert call.body["payload"] == message
    program.wait_for_output("2J")
    assert program.output == ["[C1] Hey <@U1>!\n", "[C1] 2026-01-01 - New Year’s Day\n", "[C1] \ufffd[2J\n"]


@pytest.mark.parametrize(
    ("action_input", "payload"),
    [
        ({"channelId": "C1"}, {"error": "required: message", "channelId": "C1", "message": "", "threadTimestamp": ""}),
        ("hello", {"error": "required: message, channelId", "channelId": "", "message": "", "threadTimestamp": ""}),
    ],
)
def test_console_reports_missing_fields_of_a_message(
    stub: StubServer, start: Start, action_input: Any, payload: Any
) -> None:
    stub.queue("SendMessage", action_input)
    start(*CONSOLE)
    (call,) = stub.wait_for("result", event="SendMessageFailed")
    assert call.body["payload"] == payload


def test_console_continues_after_the_end_of_its_input(stub: StubServer, start: Start) -> None:
    program = start(*CONSOLE)
    program.type("last words")
    program.end_input()
    stub.wait_for("event", event="ReceivedMessage")
    stub.queue("SendMessage", {"channelId": "C1", "message": "heard"})
    program.wait_for_output("[C1] heard")
    program.signal()
    assert program.exit_code() == 0


def test_console_ends_with_its_input_with_exit_on_eof(stub: StubServer, start: Start) -> None:
    stub.queue("SendMessage", {"channelId": "C1", "message": "was waiting"})
    program = start(*CONSOLE, "--exit-on-eof")
    program.type("one\ntwo\n")
    program.end_input()
    assert program.exit_code() == 0
    assert [call.body["payload"]["message"] for call in stub.of("event")] == ["one", "two"]
    assert program.output == ["[C1] was waiting\n"]


def test_console_sends_after_an_outage_of_the_server(stub: StubServer, start: Start) -> None:
    stub.stop()
    program = start(*CONSOLE)
    program.type("are you there\n")
    program.wait_for_log("server_away")
    stub.start()
    (call,) = stub.wait_for("event")
    assert call.body["payload"]["message"] == "are you there"


def test_console_shows_a_prompt_in_a_terminal(stub: StubServer) -> None:
    terminal, other_end = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
    process = processes.start(
        [sys.executable, *CONSOLE, "--channel", "C1"],
        cwd=ROOT,
        env=environment | {"FLYTE_API": stub.url, "NO_COLOR": "1"},
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
    )
    os.close(other_end)
    try:
        read_terminal(terminal, "pack_registered pack=Console\r\nC1> ")
        os.write(terminal, b"hello\n")
        read_terminal(terminal, "→ event  Console ReceivedMessage\r\nC1> ")
        stub.queue("SendMessage", {"channelId": "C1", "message": "Hey"})
        read_terminal(terminal, "C1> \r\x1b[K[C1] Hey\r\nC1> ")
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0
        os.close(terminal)


def read_terminal(terminal: int, text: str) -> None:
    """Read until the output contains the text."""
    output, deadline = "", time.monotonic() + PATIENCE
    while text not in output:
        assert select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0], output
        output += os.read(terminal, 65536).decode()
