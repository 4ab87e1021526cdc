"""The command of the Shell pack: its inputs and the result event, with real scripts."""

import os
from pathlib import Path
from typing import Any

import pytest

from flyte_client.events import FATAL, Event
from flyte_client.packs.shell.commands import build_shell_pack
from flyte_client.packs.shell.settings import ShellSettings
from flyte_client.testing import PackTester

pytestmark = pytest.mark.unit


def run(action_input: Any, folder: Path | None = None) -> Event:
    settings = ShellSettings(60.0, 1_000_000, folder or Path.cwd(), os.environ)
    return PackTester(build_shell_pack(settings)).command("Shell", action_input)


def test_a_script_returns_its_output() -> None:
    payload = {"command": "cat; echo a; echo b >&2; exit 3", "stdout": "a\n", "stderr": "b\n", "exit_code": 3}
    assert run(payload["command"]) == Event("Output", payload)
    assert run({"command": payload["command"], "stdin": None, "env": None, "timeout": ""}) == Event("Output", payload)


def test_standard_input_and_variables_are_passed_as_text_or_json() -> None:
    env = {"TEXT": "$(id) 'a\"", "NUMBER": 5, "LIST": ["é", None], "OFF": False, "EMPTY": "", "HOME": None}
    script = 'cat; printf "|%s" "$TEXT" "$NUMBER" "$LIST" "$OFF" "${EMPTY-unset}" "${HOME:+set}"'
    payload = run({"command": script, "stdin": {"a": "é"}, "env": env}).payload
    assert payload["stdout"] == """{"a":"é"}|$(id) 'a"|5|["é",null]|false||set"""


def test_a_variable_can_replace_the_path_of_the_script_but_not_its_shell(tmp_path: Path) -> None:
    (tmp_path / "bash").write_text("#!/bin/sh\necho another shell\n")
    (tmp_path / "bash").chmod(0o755)
    payload = run({"command": "echo $0; true_or_false", "env": {"PATH": str(tmp_path)}}).payload
    assert payload["stdout"] == "bash\n"
    assert payload["stderr"] == "bash: line 1: true_or_false: command not found\n"
    assert payload["exit_code"] == 127


def test_a_large_script_is_run_and_returned() -> None:
    script = f"cat <<'END'\n{'x' * 300_000}\nEND\n"
    payload = {"command": script, "stdout": "x" * 300_000 + "\n", "stderr": "", "exit_code": 0}
    assert run(script) == Event("Output", payload)


@pytest.mark.parametrize(
    ("action_input", "words"),
    [
        (None, "no script"),
        ("", "no script"),
        ({"script": "echo"}, "no script"),
        ({"command": "echo", "timeout": "soon"}, "timeout: invalid duration 'soon'; use a value such as 500ms"),
        ({"command": "echo", "timeout": True}, "timeout: invalid duration True"),
        ({"command": "echo", "timeout": "-1"}, "timeout: invalid duration '-1'"),
        ({"command": "echo", "timeout": 0}, "timeout: invalid value 0, must be above 0"),
        (
            {"command": "echo", "environment": {}},
            "environment: unknown key; allowed keys: command, stdin",
        ),
        ({"command": "echo \0"}, "command: a script must not contain the character NUL"),
        ({"command": "echo", "env": ["A=b"]}, "env: must be an object of variable names and values"),
        ({"command": "echo", "env": {"A b": 1}}, "env: invalid name 'A b', use letters, digits and underscores"),
        ({"command": "echo", "env": {"A": "\0"}}, "env.A: must not contain the character NUL"),
        ({"command": "echo", "env": {"A": "x" * 200_000}}, "env.A: has 200002 bytes, but at most"),
        (
            {"command": "echo", "env": {f"A{n}": "x" * 130_000 for n in range(60)}},
            "env: the variables together are too large; pass large text in `stdin`",
        ),
    ],
)
def test_an_invalid_input_gives_exit_code_1_and_a_message(action_input: Any, words: str) -> None:
    event = run(action_input)
    assert event.name == "Output"
    assert event.payload == {"command": "", "stdout": "", "stderr": event.payload["stderr"], "exit_code": 1}
    assert event.payload["stderr"].startswith(words)


@pytest.mark.parametrize("timeout", [0.2, "0.2", "200ms", " 0.2s\n"])
def test_the_timeout_is_a_duration(timeout: Any) -> None:
    payload = run({"command": "sleep 600", "timeout": timeout}).payload
    assert (payload["exit_code"], payload["stderr"]) == (124, "[killed after 0.2 seconds]\n")


def test_a_script_that_cannot_be_started_is_fatal(tmp_path: Path) -> None:
    event = run("true", tmp_path / "missing")
    assert (event.name, "No such file or directory" in event.payload["message"]) == (FATAL, True)
