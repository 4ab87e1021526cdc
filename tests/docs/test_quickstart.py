"""The quickstart: its commands, run as they are printed."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests import processes
from tests.docs.pages import blocks, wait_for
from tests.docs.running import run_printed, running
from tests.programs import needs
from tests.server import ROOT, StartServer

pytestmark = pytest.mark.acceptance

PAGE = ROOT / "docs" / "quickstart.md"


def test_its_commands_run_the_flow_and_render_a_template(start_server: StartServer, tmp_path: Path) -> None:
    needs("curl")
    server = start_server()
    start, packs, save, executions, events, text_item, json_item, template = blocks(PAGE, "sh")
    assert start == "make run\n"
    environment = {**server.environment, "FLYTE_API": server.url, "FLYTE_POLL_INTERVAL": "0.1"}
    commands = [line.partition("#")[0].split()[1:] for line in packs.splitlines() if line.startswith(".venv")]
    shell, console = ([sys.executable, *command] for command in commands)
    with (
        running(shell, ROOT, environment),
        processes.start(console, cwd=ROOT, env=environment, stdin=subprocess.PIPE, text=True) as chat,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        wait_for(lambda: len(client.get("/v1/packs").json()["packs"]) >= len(commands))
        saved = run_printed(save, ROOT, server)
        assert " 201 " in saved.stderr
        assert "x-flyte-warning" not in saved.stderr.lower()
        assert chat.stdin
        chat.stdin.write("flyte date\n")
        chat.stdin.flush()
        wait_for(lambda: run_printed(executions, ROOT, server).stdout.count("event: MessageSent") > 0)
        chat.terminate()
    assert "outcome: fired" in run_printed(events, ROOT, server).stdout
    for item in (text_item, json_item):
        assert run_printed(item, ROOT, server).returncode == 0
    (tmp_path / "event.json").write_text('{"event": "Said", "payload": {"who": "ann"}}')
    assert '`{"event": "Said", "payload": {"who": "ann"}}`' in PAGE.read_text()
    assert run_printed(template, tmp_path, server).stdout == "GOOD MORNING, ann!\n"
    field = template.replace("greeting')|upper", "teams').devinf.email")
    assert "@" in run_printed(field, tmp_path, server).stdout
