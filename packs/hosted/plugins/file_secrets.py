"""Secrets of plugins for their services: files in a folder, as most orchestrators mount them."""

import re
from pathlib import Path

_NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}", re.ASCII)
MAX_SECRET_BYTES = 64 * 1024


class FileSecretManager:
    """A folder with one file per secret, named after it; trailing white space is ignored.

    Files are read for each use, so that a secret can be changed while the server runs.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def get(self, name: str) -> str:
        """Return the secret. Raise `LookupError`, never with the secret in its message."""
        if not self._folder:
            raise LookupError(f"secret {name[:40]!r} not found: FLYTE_WEBAPI_SECRETS_PATH is not set")
        if not _NAME_PATTERN.fullmatch(name):
            raise LookupError(f"invalid secret name {name[:40]!r}")
        try:
            with (Path(self._folder) / name).open("rb") as file:
                return file.read(MAX_SECRET_BYTES).decode().rstrip()
        except (OSError, ValueError):
            raise LookupError(f"can't read secret {name!r}") from None
