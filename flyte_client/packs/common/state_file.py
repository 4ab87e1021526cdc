"""Persistent state of a pack in a small JSON file."""

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flyte_client.errors import SettingsError
from flyte_client.transport import atomic_write


class StateFile:
    """A state file for one process. Raises `SettingsError` if a second process opens it, or if it is not a JSON object.

    `write` flushes to disk; a crash leaves either the old or the new content. `read` keeps the order of the keys.
    """

    def __init__(self, variable: str, path: Path) -> None:
        self._path = path
        self._variable = variable
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = path.with_name(f"{path.name}.lock").open("a")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"{variable}: {path} is in use by another process") from None
        except OSError as error:
            raise SettingsError(f"{variable}: can't use {path} ({error.strerror})") from None

    def read(self) -> dict[str, Any]:
        """Return the content; empty before the first write."""
        try:
            document = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            document = None
        if not isinstance(document, dict):
            raise SettingsError(f"{self._variable}: invalid JSON in {self._path}; move the file away to start over")
        return document

    def write(self, document: Mapping[str, Any]) -> None:
        atomic_write.write_atomic(self._path, json.dumps(document, indent=1).encode())

    def close(self) -> None:
        """Release the file for other processes."""
        self._lock.close()
