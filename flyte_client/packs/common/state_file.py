"""What a pack must still know after a restart, in a small JSON file of its own."""

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flyte_client.errors import SettingsError
from flyte_client.transport import atomic_write


class StateFile:
    """One process's file: a second one that opens it gets `SettingsError`, and so does a file that is no JSON object.

    What `write` has returned from is on the disk; a crash leaves either the old or the new content. `read` gives names
    in the order in which they were written.
    """

    def __init__(self, variable: str, path: Path) -> None:
        self._path = path
        self._variable = variable
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = path.with_name(f"{path.name}.lock").open("a")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"{variable}: another process uses {path} already") from None
        except OSError as error:
            raise SettingsError(f"{variable}: {path} can't be used ({error.strerror})") from None

    def read(self) -> dict[str, Any]:
        """The content; empty before the first write."""
        try:
            document = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            document = None
        if not isinstance(document, dict):
            raise SettingsError(f"{self._variable}: {self._path} can't be read as JSON; move it away to begin anew")
        return document

    def write(self, document: Mapping[str, Any]) -> None:
        atomic_write.write_atomic(self._path, json.dumps(document, indent=1).encode())

    def close(self) -> None:
        """Let another process use the file."""
        self._lock.close()
