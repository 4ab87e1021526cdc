"""Settings of packs in environment variables, beside those of `flyte_client.settings`.

A variable that is set but empty counts as not set. All raise `SettingsError`, which names the variable.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

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


def secret(environment: Mapping[str, str], name: str) -> str:
    """What goes into an HTTP header, and into no message; empty where nothing is set."""
    given = text(environment, name)
    if not (given.isascii() and given.isprintable()):
        raise SettingsError(f"{name}: has characters that no password or token may have here")
    return given


def address(environment: Mapping[str, str], name: str, default: str = "") -> str:
    """An HTTP address without a slash at its end, to which secrets may be sent: `http` is for this machine alone."""
    given = text(environment, name, default)
    if not given:
        raise SettingsError(f"{name}: is not set; it must hold an address, such as https://example.com")
    try:
        parts = urlsplit(given)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", 0
    if not host or port == 0 or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise SettingsError(f"{name}: must be an address that starts with https://")
    if "@" in parts.netloc:
        raise SettingsError(f"{name}: must hold no user or password")
    if parts.scheme == "http" and not is_loopback(host):
        raise SettingsError(f"{name}: must start with https://, since a secret is sent there")
    return given.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
