"""The program `flyte` with a running server, and with addresses of other services."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import preloaded, processes
from tests.private_postgres import free_port
from tests.server import ROOT, Server, StartServer

pytestmark = pytest.mark.acceptance

PATIENCE = 60.0
Done = subprocess.CompletedProcess[str]
FLOW = """# what it is for
name: {name}
steps:
  - id: a
    event: {{packName: Teller, name: Told}}
    command: {{packName: Doer, name: Do, input: "{{{{ Event.Payload.n }}}}"}}
"""


def environment(**changes: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
    return {**inherited, "COLUMNS": "120", **changes}


def flyte(server: Server | str, *arguments: object, standard_input: str = "", **changes: str) -> Done:
    url = server if isinstance(server, str) else server.url
    command = ["-m", "flyte_client.cli", *map(str, arguments)]
    return preloaded.run(command, env=environment(FLYTE_API=url, **changes), text=standard_input, timeout=PATIENCE)


def ok(server: Server | str, *arguments: object, standard_input: str = "") -> str:
    done = flyte(server, *arguments, standard_input=standard_input)
    assert done.returncode == 0, done.stderr
    return done.stdout


def failure(done: Done, code: int) -> str:
    """Return the single error line of a failed program."""
    (line,) = done.stderr.splitlines()
    assert (done.returncode, line.startswith("flyte: "), "Traceback" in line) == (code, True, False), line
    return line


@pytest.fixture
def teller(server: Server) -> str:
    definition = {"name": "Teller", "labels": {"in": "cli"}, "events": [{"name": "Told"}]}
    httpx.post(f"{server.url}/v1/packs", json=definition, trust_env=False).raise_for_status()
    return "Teller.in.cli"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "flows"
    path.mkdir()
    (path / "two.yaml").write_text(FLOW.format(name="cli one") + "---\n" + FLOW.format(name="cli/two"))
    return path


def test_flows_are_applied_compared_and_exported_remotely(start_server: StartServer, folder: Path) -> None:
    server = start_server()
    assert flyte(server, "flows", "diff", folder).returncode == 1
    applied = flyte(server, "flows", "apply", folder, "--note", "by hand")
    assert applied.stdout.splitlines()[-1] == "2 new, 0 changed, 0 the same"
    assert f"{folder}/two.yaml:12:13: warning: steps[0].event.packName" in applied.stderr
    assert ok(server, "flows", "diff", folder) == ""
    out = folder.parent / "out"
    ok(server, "flows", "export", out)
    assert (out / "cli%2Ftwo.yaml").read_text() == FLOW.format(name="cli/two")
    (folder / "two.yaml").write_text(FLOW.format(name="cli one").replace("Told", "Heard"))
    report = json.loads(ok(server, "flows", "apply", folder, "--prune", "--json"))
    assert ([flow["change"] for flow in report["flows"]], report["others"]) == (["changed"], ["cli/two"])
    listed = httpx.get(f"{server.url}/v1/flows", trust_env=False).json()["flows"]
    assert [flow["name"] for flow in listed] == ["cli one"]
    (folder / "bad.yaml").write_text("name: cli bad\nsteps: 5\n")
    done = flyte(server, "flows", "apply", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{folder}/bad.yaml:2:1: error: steps: must be a list" in done.stderr


def test_an_event_is_sent_and_its_actions_are_in_the_audit(server: Server, teller: str, tmp_path: Path) -> None:
    name = f"cli {tmp_path.name}"
    (tmp_path / "flow.yaml").write_text(FLOW.format(name=name))
    ok(server, "flows", "apply", tmp_path / "flow.yaml")
    assert teller in ok(server, "packs")
    assert json.loads(ok(server, "packs", teller, "--json"))["events"] == [{"name": "Told"}]
    assert "would start" in ok(server, "try", name, "--event", '{"event": "Told", "payload": {"n": 1}}')
    assert "None" not in ok(server, "events", "send", "Teller", "Told", "-", standard_input='{"n": 7}')
    assert "does not declare event 'Tld'; declared: Told" in flyte(server, "events", "send", "Teller", "Tld").stderr
    lines = ok(server, "audit", "tail", "--flow", name).splitlines()
    assert lines[1].split()[-2:] == ["Doer.Do", "NEW"]
    (change,) = map(json.loads, ok(server, "audit", "tail", "--flow", name, "--json").splitlines())
    assert (change["flow"], change["step"], change["state"]) == (name, "a", "NEW")


@pytest.fixture
def following(server: Server, teller: str, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    (tmp_path / "flow.yaml").write_text(FLOW.format(name=f"cli {tmp_path.name}"))
    ok(server, "flows", "apply", tmp_path / "flow.yaml")
    command = [sys.executable, "-m", "flyte_client.cli", "audit", "tail", "-f", "--interval", "0.1", "--flow"]
    with processes.start(
        [*command, f"cli {tmp_path.name}"],
        cwd=ROOT,
        env=environment(FLYTE_API=server.url, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # Maximum wait for the next line.
        bound = threading.Timer(PATIENCE, process.kill)
        bound.start()
        try:
            yield process
        finally:
            bound.cancel()
            process.kill()


def test_the_audit_is_followed_until_ctrl_c(server: Server, following: "subprocess.Popen[str]") -> None:
    assert following.stdout
    assert following.stdout.readline().startswith("TIME")
    for number in (1, 2):
        ok(server, "events", "send", "Teller.in.cli", "Told", json.dumps({"n": number}))
        assert following.stdout.readline().split()[-1] == "NEW"
    following.send_signal(signal.SIGINT)
    _, errors = following.communicate(timeout=PATIENCE)
    assert (following.returncode, errors) == (130, "\n")


def test_a_closed_output_pipe_is_not_an_error(server: Server, teller: str) -> None:
    done = processes.run(
        ["bash", "-c", f"{sys.executable} -m flyte_client.cli packs | true; echo ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        env=environment(FLYTE_API=server.url),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")


def test_invalid_input_is_reported_in_one_line_with_code_2(server: Server, tmp_path: Path) -> None:
    assert "file or folder not found" in failure(flyte(server, "flows", "apply", tmp_path / "none"), 2)
    assert "invalid JSON" in failure(flyte(server, "events", "send", "Teller", "Told", "{x"), 2)
    assert "FLYTE_API" in failure(flyte("", "packs"), 2)
    assert "STEP=EVENT" in failure(flyte(server, "try", "x", "--event", "{}", "--result", "x"), 2)
    twice = ("--result", "a={}", "--result", "a={}")
    assert "more than one result" in failure(flyte(server, "try", "x", "--event", "{}", *twice), 2)
    assert flyte(server, "flow").returncode == 2


def test_an_unreachable_or_wrong_server_is_reported_in_one_line_with_code_3(server: Server) -> None:
    assert "can't reach http://127.0.0.1" in failure(flyte(f"http://127.0.0.1:{free_port()}", "packs"), 3)
    assert "404" in failure(flyte(f"{server.url}/nothing", "packs"), 3)
    assert "pack 'Nobody' not found" in failure(flyte(server, "packs", "Nobody"), 3)
    assert "flow 'misspelt' not found, and it" in failure(flyte(server, "audit", "tail", "--flow", "misspelt"), 3)


def test_a_missing_or_insufficient_token_is_reported(start_server: StartServer, tmp_path: Path) -> None:
    closed = start_server({"FLYTE_AUTH": "tokens"})
    made = processes.run(
        [sys.executable, "manage.py", "token", "create", "reader", "--scope", "packs:read"],
        cwd=ROOT,
        env=closed.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    token = made.stdout.split()[-1]
    assert "FLYTE_JWT" in failure(flyte(closed, "packs"), 3)
    assert flyte(closed, "packs", FLYTE_JWT=token).returncode == 0
    (tmp_path / "flow.yaml").write_text(FLOW.format(name="x"))
    assert "not allowed: check the token's scopes" in failure(
        flyte(closed, "flows", "diff", tmp_path, FLYTE_JWT=token), 3
    )


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_gets_its_completion(shell: str) -> None:
    done = flyte("", "completion", shell)
    assert done.returncode == 0
    assert "--prune" in done.stdout
