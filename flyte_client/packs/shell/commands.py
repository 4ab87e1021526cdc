"""The command `Shell`: its input and its result event."""

import errno
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flyte_client.events import Event
from flyte_client.handlers.action_context import current_action
from flyte_client.pack import Pack
from flyte_client.packs.shell.script import MAX_ARGUMENT_BYTES, Script, ScriptResult, encode_text, run_script
from flyte_client.packs.shell.settings import VARIABLE_NAME, ShellSettings
from flyte_time.durations import parse_duration

INVALID_INPUT_EXIT_CODE = 1
INPUT_KEYS = ("command", "stdin", "env", "timeout")


def build_shell_pack(settings: ShellSettings) -> Pack:
    pack = Pack("Shell")

    @pack.command("Shell", events=["Output"])
    def shell(command_input: Any) -> Event:
        fields = command_input if isinstance(command_input, dict) else {"command": command_input}
        try:
            script = _parse_script(fields)
            limits = replace(settings, timeout=_parse_timeout(fields.get("timeout"), settings.timeout))
            result = run_script(script, limits, current_action().cancelled)
        except ValueError as error:
            return _build_error_event(str(error))
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            return _build_error_event("env: the variables together are too large; pass large text in `stdin`")
        return _build_output_event(script.command, result)

    return pack


def _parse_script(fields: Mapping[str, Any]) -> Script:
    """Parse the input. Raises `ValueError` if it is invalid."""
    command = fields.get("command")
    if not isinstance(command, str) or not command.strip():
        raise ValueError("no script: the input must be a non-empty string, or an object with one in `command`")
    if unknown := [name for name in fields if name not in INPUT_KEYS]:
        raise ValueError(f"{unknown[0]}: unknown key; allowed keys: {', '.join(INPUT_KEYS)}")
    if "\0" in command:
        raise ValueError("command: a script must not contain the character NUL")
    return Script(command, _format_text(fields.get("stdin")), _parse_env(fields.get("env")))


def _parse_env(raw_value: Any) -> dict[str, str]:
    if raw_value is None:
        return {}
    if not isinstance(raw_value, dict):
        raise ValueError("env: must be an object of variable names and values")
    return {name: _parse_variable(name, value) for name, value in raw_value.items() if value is not None}


def _parse_variable(name: str, raw_value: Any) -> str:
    if not VARIABLE_NAME.match(name):
        raise ValueError(f"env: invalid name {name!r}, use letters, digits and underscores")
    value = _format_text(raw_value)
    if "\0" in value:
        raise ValueError(f"env.{name}: must not contain the character NUL")
    size = len(name) + 1 + len(encode_text(value))
    if size > MAX_ARGUMENT_BYTES:
        limit = f"at most {MAX_ARGUMENT_BYTES} are allowed"
        raise ValueError(f"env.{name}: has {size} bytes, but {limit}; pass large text in `stdin`")
    return value


def _format_text(value: Any) -> str:
    """Return text as it is, '' for null, and other values as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _parse_timeout(raw_value: Any, default: float) -> float:
    if raw_value is None or raw_value == "":
        return default
    try:
        seconds = parse_duration(raw_value).total_seconds()
    except ValueError as error:
        raise ValueError(f"timeout: {error}") from None
    if seconds == 0:
        raise ValueError(f"timeout: invalid value {raw_value!r}, must be above 0")
    return seconds


def _build_error_event(message: str) -> Event:
    return _build_output_event("", ScriptResult("", message, INVALID_INPUT_EXIT_CODE))


def _build_output_event(command: str, result: ScriptResult) -> Event:
    stderr = result.stderr
    for note in result.notes:
        stderr += f"{'' if not stderr or stderr.endswith(chr(10)) else chr(10)}[{note}]\n"
    payload = {"command": command, "stdout": result.stdout, "stderr": stderr, "exit_code": result.exit_code}
    return Event("Output", payload)
