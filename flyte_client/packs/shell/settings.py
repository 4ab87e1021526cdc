"""The Shell pack's settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.common import environment as variables

DEFAULT_TIMEOUT = 60.0
DEFAULT_OUTPUT_BYTES = 256 * 1024
# Scripts must not see the pack's token: their output is stored in the audit.
HIDDEN_VARIABLE = "FLYTE_JWT"
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class ShellSettings:
    """Timeout of a script in seconds, limit of each output in bytes, working directory and environment."""

    timeout: float
    max_output_bytes: int
    folder: Path
    environment: Mapping[str, str]


def read_settings(environment: Mapping[str, str]) -> ShellSettings:
    """Read the settings. Raises `SettingsError` for invalid ones."""
    return ShellSettings(
        timeout=settings.read_seconds(environment, "FLYTE_SHELL_TIMEOUT", DEFAULT_TIMEOUT),
        max_output_bytes=_read_output_bytes(environment),
        folder=_read_folder(environment),
        environment=_read_script_environment(environment),
    )


def _read_folder(environment: Mapping[str, str]) -> Path:
    folder = Path(variables.read_text(environment, "FLYTE_SHELL_FOLDER", "."))
    if not folder.is_dir():
        raise SettingsError(f"FLYTE_SHELL_FOLDER: folder {folder} not found")
    return folder.resolve()


def _read_script_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the token, limited to the variables in `FLYTE_SHELL_ENV` if set."""
    inherited = {name: value for name, value in environment.items() if name != HIDDEN_VARIABLE}
    allowed = [name.strip() for name in variables.read_text(environment, "FLYTE_SHELL_ENV").split(",") if name.strip()]
    if not allowed:
        return inherited
    if invalid := [name for name in allowed if name == HIDDEN_VARIABLE or not VARIABLE_NAME.match(name)]:
        raise SettingsError(
            f"FLYTE_SHELL_ENV: invalid or not allowed variable {invalid[0]!r}, use names separated by commas"
        )
    return {name: inherited[name] for name in allowed if name in inherited}


def _read_output_bytes(environment: Mapping[str, str]) -> int:
    text = environment.get("FLYTE_SHELL_OUTPUT_LIMIT", "").strip()
    if text and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise SettingsError(f"FLYTE_SHELL_OUTPUT_LIMIT: invalid value {text!r}, must be a number of bytes above 0")
    return int(text or DEFAULT_OUTPUT_BYTES)
