"""The Shell pack: runs a script for a flow and tells what came out of it.

    FLYTE_API=http://localhost:8080 python -m flyte_client.packs.shell

Command `Shell` takes a script as a string, which `bash -c` runs, or `{"command": script, "timeout": seconds}`. It ends
in the event `Output` with `command`, `stdout`, `stderr` and `exit_code`; both outputs are as they came, with the line
break at their end. A script may take `FLYTE_SHELL_TIMEOUT` seconds (60), then all its processes are killed and
`exit_code` is 124. Of each output `FLYTE_SHELL_OUTPUT_LIMIT` bytes (262144) are kept. What the pack has to say about
either stands at the end of `stderr`. The script is killed, too, when its execution is cancelled or its action's lease
has ended. Input that holds no script gives `exit_code` 1, as the original pack does.

Scripts run with the rights of whoever runs this pack: whoever may change flows may do here what this user may do.
"""

import argparse
import math
import os
import sys
from dataclasses import dataclass
from typing import Any

from flyte_client import settings
from flyte_client.current import current_action
from flyte_client.errors import SettingsError
from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.script import Outcome, run_script
from flyte_client.program import run

TIMEOUT = 60.0
OUTPUT_LIMIT = 256 * 1024
NOT_A_SCRIPT = 1


@dataclass(frozen=True)
class Bounds:
    """Seconds that a script may take, and bytes that are kept of each of its outputs."""

    timeout: float
    output: int


def shell_pack(bounds: Bounds) -> Pack:
    pack = Pack("Shell")

    @pack.command("Shell", events=["Output"])
    def shell(given: Any) -> Event:
        try:
            script, timeout = _script(given, bounds.timeout)
        except ValueError as error:
            return _output("", Outcome("", str(error), NOT_A_SCRIPT))
        cancelled = current_action().cancelled
        return _output(script, run_script(script, timeout, bounds.output, _environment(), cancelled))

    return pack


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.shell",
        description="Runs shell commands for flows, with the rights of whoever starts it. Set up by FLYTE_API, "
        "FLYTE_SHELL_TIMEOUT (seconds) and FLYTE_SHELL_OUTPUT_LIMIT (bytes).",
    ).parse_args(arguments)
    try:
        bounds = Bounds(settings.seconds(os.environ, "FLYTE_SHELL_TIMEOUT", TIMEOUT), _output_limit())
    except SettingsError as error:
        print(f"Shell: {error}", file=sys.stderr)
        return 2
    return run(shell_pack(bounds))


def _script(given: Any, timeout: float) -> tuple[str, float]:
    """The script and its seconds. Raises `ValueError`, which says what is missing, for input of another shape."""
    fields = given if isinstance(given, dict) else {"command": given}
    script = fields.get("command")
    if not isinstance(script, str) or not script.strip():
        raise ValueError("no script: the input must be a script, or an object with a script in `command`")
    return script, _timeout(fields.get("timeout"), timeout)


def _timeout(given: Any, default: float) -> float:
    # A template in a flow always gives a string, so `"30"` must do as well as 30.
    if given is None or given == "":
        return default
    try:
        value = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"timeout is {given!r}, but must be a number of seconds above 0")
    return value


def _output(script: str, outcome: Outcome) -> Event:
    stderr = outcome.stderr
    for note in outcome.notes:
        stderr += f"{'' if not stderr or stderr.endswith(chr(10)) else chr(10)}[{note}]\n"
    payload = {"command": script, "stdout": outcome.stdout, "stderr": stderr, "exit_code": outcome.exit_code}
    return Event("Output", payload)


def _environment() -> dict[str, str]:
    # The pack's own token is not for scripts: what they print ends up in the audit.
    return {name: value for name, value in os.environ.items() if name != "FLYTE_JWT"}


def _output_limit() -> int:
    text = os.environ.get("FLYTE_SHELL_OUTPUT_LIMIT", "").strip()
    if text and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise SettingsError(f"FLYTE_SHELL_OUTPUT_LIMIT: is {text!r}, but must be a number of bytes above 0")
    return int(text or OUTPUT_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
