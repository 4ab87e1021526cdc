"""Secrets that plugins send to their services: files in a folder, as most orchestrators mount them."""

import re
from pathlib import Path

_NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}", re.ASCII)
MAX_SECRET_BYTES = 64 * 1024


class FileSecretManager:
    """Each file of the folder is a secret; its name is the file's, white space at its end does not count.

    Read anew each time, so that a secret can be changed while the server runs.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def get(self, name: str) -> str:
        """The secret. Raises `LookupError`, which never has it in its message."""
        if not self._folder:
            raise LookupError(f"there is no secret {name[:40]!r}: FLYTE_WEBAPI_SECRETS_PATH is not set")
        if not _NAME_PATTERN.fullmatch(name):
            raise LookupError(f"{name[:40]!r} is no name of a secret")
        try:
            with (Path(self._folder) / name).open("rb") as file:
                return file.read(MAX_SECRET_BYTES).decode().rstrip()
        except (OSError, ValueError):
            raise LookupError(f"the secret {name!r} can't be read") from None
