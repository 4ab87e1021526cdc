"""The Shell pack's settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.basis import environment as variables

TIMEOUT = 60.0
OUTPUT_LIMIT = 256 * 1024
# The pack's own token is not for scripts: what they print ends up in the audit.
HIDDEN = "FLYTE_JWT"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Bounds:
    """Seconds that a script may take, bytes kept of each of its outputs, where it starts, and the variables it sees."""

    timeout: float
    output: int
    folder: Path
    environment: Mapping[str, str]


def read_settings(environment: Mapping[str, str]) -> Bounds:
    """Raises `SettingsError` for what can't be used."""
    return Bounds(
        timeout=settings.seconds(environment, "FLYTE_SHELL_TIMEOUT", TIMEOUT),
        output=_output_limit(environment),
        folder=_folder(environment),
        environment=_environment(environment),
    )


def _folder(environment: Mapping[str, str]) -> Path:
    folder = Path(variables.text(environment, "FLYTE_SHELL_FOLDER", "."))
    if not folder.is_dir():
        raise SettingsError(f"FLYTE_SHELL_FOLDER: {folder} is no folder")
    return folder.resolve()


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """All but the token, or of that only what is named, if any is."""
    given = {name: value for name, value in environment.items() if name != HIDDEN}
    named = [name.strip() for name in variables.text(environment, "FLYTE_SHELL_ENV").split(",") if name.strip()]
    if not named:
        return given
    if wrong := [name for name in named if name == HIDDEN or not NAME.match(name)]:
        raise SettingsError(
            f"FLYTE_SHELL_ENV: must be names of variables with commas between them, but not {wrong[0]!r}"
        )
    return {name: given[name] for name in named if name in given}


def _output_limit(environment: Mapping[str, str]) -> int:
    text = environment.get("FLYTE_SHELL_OUTPUT_LIMIT", "").strip()
    if text and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise SettingsError(f"FLYTE_SHELL_OUTPUT_LIMIT: is {text!r}, but must be a number of bytes above 0")
    return int(text or OUTPUT_LIMIT)
