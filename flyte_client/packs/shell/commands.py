"""The command `Shell`: its input and its result event."""

import math
from dataclasses import replace
from typing import Any

from flyte_client.events import Event
from flyte_client.handlers.action_context import current_action
from flyte_client.pack import Pack
from flyte_client.packs.shell.script import ScriptResult, run_script
from flyte_client.packs.shell.settings import ShellSettings

INVALID_INPUT_EXIT_CODE = 1


def build_shell_pack(settings: ShellSettings) -> Pack:
    pack = Pack("Shell")

    @pack.command("Shell", events=["Output"])
    def shell(command_input: Any) -> Event:
        try:
            script, timeout = _parse_input(command_input, settings.timeout)
        except ValueError as error:
            return _build_output_event("", ScriptResult("", str(error), INVALID_INPUT_EXIT_CODE))
        cancelled = current_action().cancelled
        return _build_output_event(script, run_script(script, replace(settings, timeout=timeout), cancelled))

    return pack


def _parse_input(command_input: Any, default_timeout: float) -> tuple[str, float]:
    """Return the script and its timeout in seconds. Raises `ValueError` for invalid input."""
    fields = command_input if isinstance(command_input, dict) else {"command": command_input}
    script = fields.get("command")
    if not isinstance(script, str) or not script.strip():
        raise ValueError("no script: the input must be a non-empty string, or an object with one in `command`")
    return script, _parse_timeout(fields.get("timeout"), default_timeout)


def _parse_timeout(raw_value: Any, default: float) -> float:
    # A template in a flow always yields text, so `"30"` is accepted like 30.
    if raw_value is None or raw_value == "":
        return default
    try:
        value = math.nan if isinstance(raw_value, bool) else float(raw_value)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"timeout: invalid value {raw_value!r}, must be a number of seconds above 0")
    return value


def _build_output_event(script: str, result: ScriptResult) -> Event:
    stderr = result.stderr
    for note in result.notes:
        stderr += f"{'' if not stderr or stderr.endswith(chr(10)) else chr(10)}[{note}]\n"
    payload = {"command": script, "stdout": result.stdout, "stderr": stderr, "exit_code": result.exit_code}
    return Event("Output", payload)
