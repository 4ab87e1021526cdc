"""The Shell pack's settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from flyte_client import settings
from flyte_client.errors import SettingsError

TIMEOUT = 60.0
OUTPUT_LIMIT = 256 * 1024


@dataclass(frozen=True)
class Bounds:
    """Seconds that a script may take, and bytes that are kept of each of its outputs."""

    timeout: float
    output: int


def read_settings(environment: Mapping[str, str]) -> Bounds:
    """Raises `SettingsError` for what can't be used."""
    return Bounds(settings.seconds(environment, "FLYTE_SHELL_TIMEOUT", TIMEOUT), _output_limit(environment))


def _output_limit(environment: Mapping[str, str]) -> int:
    text = environment.get("FLYTE_SHELL_OUTPUT_LIMIT", "").strip()
    if text and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise SettingsError(f"FLYTE_SHELL_OUTPUT_LIMIT: is {text!r}, but must be a number of bytes above 0")
    return int(text or OUTPUT_LIMIT)
