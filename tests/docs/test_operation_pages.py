"""The pages on operating a server: their `manage.py` commands and examples, run as they are printed."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests import processes
from tests.docs.pages import blocks, wait_for
from tests.docs.running import run_printed, running
from tests.docs.test_commands import printed_lines
from tests.programs import needs
from tests.server import ROOT, Server, StartServer

pytestmark = pytest.mark.acceptance

HOW_TO = ROOT / "docs" / "how-to"
SERVICE = HOW_TO / "run-as-a-service.md"
SECRETS = HOW_TO / "keep-secrets.md"
# Servers, and commands that ask for input; other tests run them.
NOT_RUN = ("serve", "worker", "beat", "createsuperuser", "changepassword")


def test_the_management_commands_succeed(server: Server, tmp_path: Path) -> None:
    lines = [line for name in ("run-as-a-service", "run-with-redis") for line in printed_lines(HOW_TO / f"{name}.md")]
    run = [line for line in lines if line.startswith(".venv/bin/python manage.py ") and line.split()[2] not in NOT_RUN]
    failed = {line: done.stderr for line in run if (done := run_printed(line, tmp_path, server)).returncode}
    assert failed == {}
    assert len(run) >= 8
    (created,) = [line for line in printed_lines(HOW_TO / "watch-it.md") if "token create" in line]
    assert created in run


def test_sqlite_is_copied_in_use(server: Server, tmp_path: Path) -> None:
    (line,) = [text for text in SERVICE.read_text().split("`") if "VACUUM INTO" in text]
    with sqlite3.connect(tmp_path / "flyte.sqlite3") as database:
        database.execute("CREATE TABLE kept (value)")
        database.execute("INSERT INTO kept VALUES (7)")
    done = run_printed(line, tmp_path, server)
    assert done.returncode == 0, done.stderr
    assert sqlite3.connect(tmp_path / "copy.sqlite3").execute("SELECT value FROM kept").fetchall() == [(7,)]


def test_a_secret_is_stored_used_and_encrypted_with_a_new_key(
    server: Server, start_server: StartServer, tmp_path: Path
) -> None:
    needs("curl")
    create, store, rotate = blocks(SECRETS, "sh")
    old, new = (run_printed(create, tmp_path, server).stdout.strip() for _ in range(2))
    server = start_server({"FLYTE_ENCRYPTION_KEYS": old})
    (tmp_path / "token.txt").write_text("s3cret-token")
    assert run_printed(store, tmp_path, server).returncode == 0
    (command,) = blocks(SECRETS, "yaml")
    flow = f"name: call\nsteps:\n  - id: call\n    event: {{packName: Src, name: Go}}\n{indented(command)}"
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        assert client.get("/v1/datastore/chat-token").status_code == 403
        assert client.get("/v1/datastore").json()["datastore"][0]["secret"] is True
        assert client.post("/v1/packs", json={"name": "Src"}).status_code == 201
        headers = {"content-type": "application/x-yaml"}
        assert client.post("/v1/flows", content=flow, headers=headers).status_code == 201
        event = {"event": "Go", "payload": {"room": "r1"}}
        assert client.post("/v1/packs/Src/events", json=event).status_code == 202
        action = client.get("/v1/audit/flows").json()["flows"][0]["actions"]["call"]
    assert action["input"] == {"url": "https://chat.example.org/rooms/r1", "headers": {"Authorization": "••••••"}}
    done = run_printed(rotate, tmp_path, server, {"FLYTE_ENCRYPTION_KEYS": f"{new},{old}"})
    assert done.returncode == 0, done.stderr


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def test_quoted_text_gets_no_warning_and_unquoted_text_does(server: Server) -> None:
    commands = blocks(HOW_TO / "give-text-to-a-shell.md", "yaml")
    assert len(commands) == 3
    unquoted = commands[-1].replace("|shellquote", "")
    warnings = []
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        for command in [*commands, unquoted]:
            flow = (
                "name: search-the-log\nsteps:\n  - id: search\n    event: {packName: Src, name: Go}\n"
                f'    context: {{Service: "{{{{ Event.Payload.service }}}}"}}\n{indented(command)}'
            )
            answer = client.post("/v1/flows", content=flow, headers={"content-type": "application/x-yaml"})
            assert answer.status_code == 201, answer.text
            warnings.append(answer.headers["X-Flyte-Warning"])
    assert [warning.count("shellquote") for warning in warnings] == [0, 0, 0, 2]


def test_the_settings_for_single_sign_on_pass_the_checks(server: Server, tmp_path: Path) -> None:
    exports = [line for line in printed_lines(HOW_TO / "sign-in.md") if line.startswith("export ")]
    assert len(exports) == 5
    done = run_printed("\n".join([*exports, ".venv/bin/python manage.py check"]), tmp_path, server)
    assert done.returncode == 0, done.stderr


def test_the_server_registers_the_plugin_of_the_page(start_server: StartServer, tmp_path: Path) -> None:
    page = HOW_TO / "write-a-plugin.md"
    (tmp_path / "report_plugin.py").write_text(blocks(page, "python")[0])
    exports = [line.removeprefix("export ") for line in printed_lines(page) if line.startswith("export ")]
    environment = {name: value.strip("'") for name, _, value in (line.partition("=") for line in exports)}
    assert environment.pop("PYTHONPATH") == "/path/to/plugins"
    server = start_server({**environment, "PYTHONPATH": str(tmp_path)})
    with (
        running([sys.executable, "manage.py", "jobs"], ROOT, server.environment),
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        wait_for(lambda: "Report" in client.get("/v1/packs").text)
        commands = client.get("/v1/packs/Report").json()["commands"]
    assert [(command["name"], command["events"]) for command in commands] == [("Make", ["ReportReady", "ReportFailed"])]


def test_log_lines_have_the_logger_and_the_fields_of_the_page(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server({"FLYTE_LOG_FORMAT": "json"})
    flow = {
        "name": "reply",
        "steps": [
            {
                "event": {"packName": "Slack", "name": "ReceivedMessage"},
                "command": {"packName": "Slack", "name": "SendMessage", "input": {"channelId": "C", "message": "hi"}},
            }
        ],
    }
    log = tmp_path / "pack.log"
    environment = {**server.environment, "FLYTE_API": server.url, "LOGFILE": str(log)}
    command = [sys.executable, "-m", "flyte_client.packs.console", "--name", "Slack"]
    with (
        httpx.Client(base_url=server.url, trust_env=False) as client,
        processes.start(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, text=True) as chat,
    ):
        wait_for(lambda: "Slack" in client.get("/v1/packs").text)
        assert client.post("/v1/flows", json=flow).status_code == 201
        assert chat.stdin
        chat.stdin.write("hello\n")
        chat.stdin.flush()
        wait_for(lambda: '"action_done"' in log.read_text())
        chat.terminate()
    for printed, text in zip(blocks(HOW_TO / "watch-it.md", "json"), (server.logs(), log.read_text()), strict=True):
        line = json.loads(printed)
        lines = [json.loads(entry) for entry in text.splitlines() if f'"event": "{line["event"]}"' in entry]
        assert (lines[0].keys(), lines[0]["logger"]) == (line.keys(), line["logger"])
