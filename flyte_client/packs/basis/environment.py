"""Settings of packs in environment variables, beside those of `flyte_client.settings`.

A variable that is set but empty counts as not set. All raise `SettingsError`, which names the variable.
"""

from collections.abc import Mapping, Sequence

from flyte_client.errors import SettingsError


def text(environment: Mapping[str, str], name: str, default: str = "") -> str:
    return environment.get(name, "").strip() or default


def whole(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A whole number from `least` to `most`."""
    given = text(environment, name, str(default))
    if not (given.isascii() and given.isdigit() and len(given) < 16 and least <= int(given) <= most):
        raise SettingsError(f"{name}: is {given!r}, but must be a whole number from {least} to {most}")
    return int(given)


def choice(environment: Mapping[str, str], name: str, choices: Sequence[str]) -> str:
    """One of `choices`; the first where nothing is set."""
    given = text(environment, name, choices[0])
    if given not in choices:
        raise SettingsError(f"{name}: is {given!r}, but must be one of {', '.join(choices)}")
    return given
