"""Atomic writes: a file is either complete or absent after a crash."""

import os
from pathlib import Path

TEMPORARY_SUFFIX = ".new"


def write_atomic(path: Path, content: bytes) -> None:
    """Write the file and flush it to disk, readable only by its owner."""
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
