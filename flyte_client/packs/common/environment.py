"""Environment variables of packs, in addition to those of `flyte_client.settings`.

An empty variable counts as not set. All functions raise `SettingsError`, which names the variable.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from flyte_client.errors import SettingsError


def read_text(environment: Mapping[str, str], name: str, default: str = "") -> str:
    return environment.get(name, "").strip() or default


def read_int(environment: Mapping[str, str], name: str, default: int, minimum: int, maximum: int) -> int:
    """Return a whole number from `minimum` to `maximum`."""
    value = read_text(environment, name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 16 and minimum <= int(value) <= maximum):
        raise SettingsError(f"{name}: invalid value {value!r}, must be a whole number from {minimum} to {maximum}")
    return int(value)


def read_choice(environment: Mapping[str, str], name: str, choices: Sequence[str]) -> str:
    """Return one of `choices`, the first if the variable is not set."""
    value = read_text(environment, name, choices[0])
    if value not in choices:
        raise SettingsError(f"{name}: invalid value {value!r}, must be one of {', '.join(choices)}")
    return value


def read_secret(environment: Mapping[str, str], name: str) -> str:
    """Return a secret that is safe in an HTTP header, '' if not set. Error messages do not contain it."""
    value = read_text(environment, name)
    if not (value.isascii() and value.isprintable()):
        raise SettingsError(f"{name}: invalid characters, only printable ASCII is allowed")
    return value


def read_url(environment: Mapping[str, str], name: str, default: str = "") -> str:
    """Return an HTTP address without a trailing slash. Secrets are sent there, so `http` is only for loopback."""
    value = read_text(environment, name, default)
    if not value:
        raise SettingsError(f"{name}: required; set it to an address such as https://example.com")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", 0
    if not host or port == 0 or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise SettingsError(f"{name}: invalid address, must start with https://")
    if "@" in parts.netloc:
        raise SettingsError(f"{name}: a user or password is not allowed in the address")
    if parts.scheme == "http" and not is_loopback(host):
        raise SettingsError(f"{name}: must start with https://, because a secret is sent there")
    return value.rstrip("/")


def check_credentials(user: str, password: str, user_variable: str, password_variable: str) -> None:
    """Raise `SettingsError` if only one of user and password is set."""
    if bool(user) != bool(password):
        raise SettingsError(f"{user_variable}: set both this variable and {password_variable}, or neither")


def is_loopback(host: str) -> bool:
    """Return True for an address of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
