"""Journals of the soak's processes: a line for each observation, written to the disk before the process continues.

So a killed process loses no observation. Each process writes its own file; the reader skips a last line that the kill
has cut off.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PATH_VARIABLE = "FAULTS_JOURNAL"
SEED_VARIABLE = "FAULTS_SEED"

Note = Mapping[str, Any]
"""One line: `kind`, `at` (seconds since 1970), `who` (the journal's name), and the fields of that kind."""


class Journal:
    """The journal of a process; safe to share between its threads."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(self, kind: str, **fields: Any) -> None:
        """Write a line; it is on the disk when this returns."""
        line = json.dumps({"kind": kind, "at": time.time(), **fields}) + "\n"
        os.write(self._file, line.encode())
        os.fsync(self._file)


def own_journal() -> Journal:
    """Open the journal that this process was started with."""
    return Journal(Path(os.environ[PATH_VARIABLE]))


def read_journal(path: Path) -> Iterator[Note]:
    """Yield the complete lines of a journal."""
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield {"who": path.stem, **json.loads(line)}


def read_journals(folder: Path) -> list[Note]:
    """Return the notes of all journals in the folder, ordered by time."""
    notes = [note for path in folder.glob("*.jsonl") for note in read_journal(path)]
    return sorted(notes, key=lambda note: float(note["at"]))
