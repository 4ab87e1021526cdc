"""What the operator sets, from the environment.

| variable | default | meaning |
|---|---|---|
| `FLYTE_API`, else `FLYTE_API_URL` | – | the server's address, with or without `/v1` |
| `FLYTE_JWT` | none | sent as `Authorization: Bearer` |
| `FLYTE_LABELS` | none | `env=prod,az=b` or `env:prod`; laid over the labels in the pack's code |
| `FLYTE_POLL_INTERVAL` | 5 | seconds between two polls at a server that does not let them wait |
| `FLYTE_SPOOL` | none | a folder that keeps what is to be delivered until it is, also over a restart |
| `FLYTE_HEALTH_PORT` | none | a port to tell at whether the pack is well; the original's clients use 8090 |
| `FLYTE_HEALTH_BIND` | 0.0.0.0 | the address for that |
| `FLYTE_API_TIMEOUT` | 10 | seconds a single call may take, beside those that the server was asked to wait |
| `LOGLEVEL`, `LOGFILE`, `FLYTE_LOG_FORMAT` | INFO, standard error, text | what a program logs: `logs` reads them |

A variable that is set but empty counts as not set.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from flyte_client.errors import SettingsError

DEFAULT_POLL_INTERVAL = 5.0
DEFAULT_API_TIMEOUT = 10.0
# Whoever looks after a container looks from outside of it.
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - only for who has set a port


def read_api_url(environment: Mapping[str, str], override: str | None = None) -> str:
    """The server's address without a slash at its end. Raises `SettingsError` where there is none."""
    for name, value in (
        ("api_url", override),
        ("FLYTE_API", environment.get("FLYTE_API")),
        ("FLYTE_API_URL", environment.get("FLYTE_API_URL")),
    ):
        if value and value.strip():
            return _check_http_url(name, value.strip())
    raise SettingsError("FLYTE_API: is not set; it must hold the server's address, such as http://localhost:8080")


def read_token(environment: Mapping[str, str]) -> str | None:
    """The token to show the server, or None. Raises `SettingsError` for one that no HTTP header can carry."""
    token = environment.get("FLYTE_JWT", "").strip()
    if not (token.isascii() and token.isprintable()):
        raise SettingsError("FLYTE_JWT: has characters that no token has")
    return token or None


def read_labels(environment: Mapping[str, str]) -> dict[str, str]:
    """The labels in `FLYTE_LABELS`. Raises `SettingsError` for a part that is no `key=value` or `key:value`."""
    parts = [part for part in environment.get("FLYTE_LABELS", "").split(",") if part.strip()]
    return dict(_parse_label(part) for part in parts)


def read_spool_folder(environment: Mapping[str, str]) -> Path | None:
    """The folder to keep undelivered results and events in, or None."""
    text = environment.get("FLYTE_SPOOL", "").strip()
    return Path(text).absolute() if text else None


def read_health_address(environment: Mapping[str, str]) -> tuple[str, int] | None:
    """Host and port of the health page, or None. Raises `SettingsError` for what is no port."""
    text = environment.get("FLYTE_HEALTH_PORT", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536):
        raise SettingsError(f"FLYTE_HEALTH_PORT: is {text!r}, but must be a port from 1 to 65535")
    return environment.get("FLYTE_HEALTH_BIND", "").strip() or ALL_ADDRESSES, int(text)


def read_seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    """A number of seconds above zero. Raises `SettingsError` for anything else."""
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SettingsError(f"{name}: is {text!r}, but must be a number of seconds above 0")
    return value


def _check_http_url(name: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        is_usable = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        )
        # A password in the address would end up in every log line that names the address.
        is_usable = is_usable and "@" not in parts.netloc
    except ValueError:
        is_usable = False
    if not is_usable:
        raise SettingsError(
            f"{name}: must be an address that starts with http:// or https://, without a user or password"
        )
    return value.rstrip("/")


def _parse_label(part: str) -> tuple[str, str]:
    # The original clients know `=` only, and a key of theirs may hold a colon: so `=` decides where there is one.
    separator = "=" if "=" in part else ":"
    key, matched, value = (piece.strip() for piece in part.partition(separator))
    if not matched or not key:
        raise SettingsError(f"FLYTE_LABELS: {part.strip()!r} is neither key=value nor key:value")
    return key, value
