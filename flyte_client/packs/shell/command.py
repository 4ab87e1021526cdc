"""The command `Shell`: what it takes, and the event that it ends in."""

import math
from dataclasses import replace
from typing import Any

from flyte_client.current import current_action
from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.shell.script import Outcome, run_script
from flyte_client.packs.shell.settings import Bounds

NOT_A_SCRIPT = 1


def shell_pack(bounds: Bounds) -> Pack:
    pack = Pack("Shell")

    @pack.command("Shell", events=["Output"])
    def shell(given: Any) -> Event:
        try:
            script, timeout = _script(given, bounds.timeout)
        except ValueError as error:
            return _output("", Outcome("", str(error), NOT_A_SCRIPT))
        cancelled = current_action().cancelled
        return _output(script, run_script(script, replace(bounds, timeout=timeout), cancelled))

    return pack


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
