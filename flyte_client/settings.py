"""Settings of the client library, from environment variables.

| variable | default | meaning |
|---|---|---|
| `FLYTE_API`, else `FLYTE_API_URL` | – | the server's address, with or without `/v1` |
| `FLYTE_JWT` | none | sent as `Authorization: Bearer` |
| `FLYTE_LABELS` | none | `env=prod,az=b` or `env:prod`; override the labels in the pack's code |
| `FLYTE_POLL_INTERVAL` | 5 | seconds between two polls of a server without long polling |
| `FLYTE_SPOOL` | none | folder for undelivered results and events, which then survive a restart |
| `FLYTE_HEALTH_PORT` | none | port of the health page; the original's clients use 8090 |
| `FLYTE_HEALTH_BIND` | 0.0.0.0 | address of the health page |
| `FLYTE_API_TIMEOUT` | 10 | timeout of one call in seconds, in addition to the wait time of a long poll |
| `LOGLEVEL`, `LOGFILE`, `FLYTE_LOG_FORMAT` | INFO, standard error, text (lines for people on a terminal) | see `logs` |

An empty variable counts as not set.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from flyte_client.errors import SettingsError

DEFAULT_POLL_INTERVAL = 5.0
DEFAULT_API_TIMEOUT = 10.0
# The health page of a container is requested from outside the container.
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - only used if a port is set


def read_api_url(environment: Mapping[str, str], override: str | None = None) -> str:
    """Return the server's address without a trailing slash. Raises `SettingsError` if it is missing or invalid."""
    for name, value in (
        ("api_url", override),
        ("FLYTE_API", environment.get("FLYTE_API")),
        ("FLYTE_API_URL", environment.get("FLYTE_API_URL")),
    ):
        if value and value.strip():
            return _check_http_url(name, value.strip())
    raise SettingsError("FLYTE_API: required; set it to the server's address, such as http://localhost:8080")


def read_token(environment: Mapping[str, str]) -> str | None:
    """Return the API token, or None. Raises `SettingsError` for characters that an HTTP header can't contain."""
    token = environment.get("FLYTE_JWT", "").strip()
    if not (token.isascii() and token.isprintable()):
        raise SettingsError("FLYTE_JWT: invalid characters in the token")
    return token or None


def read_labels(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the labels in `FLYTE_LABELS`. Raises `SettingsError` for a part other than `key=value` or `key:value`."""
    parts = [part for part in environment.get("FLYTE_LABELS", "").split(",") if part.strip()]
    return dict(_parse_label(part) for part in parts)


def read_spool_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the folder for undelivered results and events, or None."""
    text = environment.get("FLYTE_SPOOL", "").strip()
    return Path(text).absolute() if text else None


def read_health_address(environment: Mapping[str, str]) -> tuple[str, int] | None:
    """Return host and port of the health page, or None. Raises `SettingsError` for an invalid port."""
    text = environment.get("FLYTE_HEALTH_PORT", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536):
        raise SettingsError(f"FLYTE_HEALTH_PORT: invalid value {text!r}, must be a port from 1 to 65535")
    return environment.get("FLYTE_HEALTH_BIND", "").strip() or ALL_ADDRESSES, int(text)


def read_seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    """Return a number of seconds above 0. Raises `SettingsError` for anything else."""
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SettingsError(f"{name}: invalid value {text!r}, must be a number of seconds above 0")
    return value


def _check_http_url(name: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        is_usable = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        )
        # A password in the address would appear in every log line with the address.
        is_usable = is_usable and "@" not in parts.netloc
    except ValueError:
        is_usable = False
    if not is_usable:
        raise SettingsError(f"{name}: invalid address, must start with http:// or https://, without a user or password")
    return value.rstrip("/")


def _parse_label(part: str) -> tuple[str, str]:
    # The original clients support only `=`, and their keys may contain colons, so `=` takes precedence.
    separator = "=" if "=" in part else ":"
    key, matched, value = (piece.strip() for piece in part.partition(separator))
    if not matched or not key:
        raise SettingsError(f"FLYTE_LABELS: invalid label {part.strip()!r}, must be key=value or key:value")
    return key, value
