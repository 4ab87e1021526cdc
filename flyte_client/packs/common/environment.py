"""Settings of packs in environment variables, beside those of `flyte_client.settings`.

A variable that is set but empty counts as not set. All raise `SettingsError`, which names the variable.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from flyte_client.errors import SettingsError


def read_text(environment: Mapping[str, str], name: str, default: str = "") -> str:
    return environment.get(name, "").strip() or default


def read_int(environment: Mapping[str, str], name: str, default: int, minimum: int, maximum: int) -> int:
    """A whole number from `least` to `most`."""
    value = read_text(environment, name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 16 and minimum <= int(value) <= maximum):
        raise SettingsError(f"{name}: is {value!r}, but must be a whole number from {minimum} to {maximum}")
    return int(value)


def read_choice(environment: Mapping[str, str], name: str, choices: Sequence[str]) -> str:
    """One of `choices`; the first where nothing is set."""
    value = read_text(environment, name, choices[0])
    if value not in choices:
        raise SettingsError(f"{name}: is {value!r}, but must be one of {', '.join(choices)}")
    return value


def read_secret(environment: Mapping[str, str], name: str) -> str:
    """What goes into an HTTP header, and into no message; empty where nothing is set."""
    value = read_text(environment, name)
    if not (value.isascii() and value.isprintable()):
        raise SettingsError(f"{name}: has characters that no password or token may have here")
    return value


def read_url(environment: Mapping[str, str], name: str, default: str = "") -> str:
    """An HTTP address without a slash at its end, to which secrets may be sent: `http` is for this machine alone."""
    value = read_text(environment, name, default)
    if not value:
        raise SettingsError(f"{name}: is not set; it must hold an address, such as https://example.com")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", 0
    if not host or port == 0 or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise SettingsError(f"{name}: must be an address that starts with https://")
    if "@" in parts.netloc:
        raise SettingsError(f"{name}: must hold no user or password")
    if parts.scheme == "http" and not is_loopback(host):
        raise SettingsError(f"{name}: must start with https://, since a secret is sent there")
    return value.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
