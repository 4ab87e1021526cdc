"""Journals: what each process of the soak saw, a line an observation, on the disk before the process goes on.

So a process that is killed has told all that it knew. Each process writes a file of its own; a last line that was cut
off by the kill is passed over.
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
"""One line: `kind`, `at` (seconds since 1970), `who` (whose journal it is), and what belongs to that kind."""


class Journal:
    """Where one process writes; safe to share between its threads."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(self, kind: str, **fields: Any) -> None:
        """Keep a line; it is on the disk when this returns."""
        line = json.dumps({"kind": kind, "at": time.time(), **fields}) + "\n"
        os.write(self._file, line.encode())
        os.fsync(self._file)


def own_journal() -> Journal:
    """The journal that this process was started with."""
    return Journal(Path(os.environ[PATH_VARIABLE]))


def read_journal(path: Path) -> Iterator[Note]:
    """The whole lines of a journal."""
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield {"who": path.stem, **json.loads(line)}


def read_journals(folder: Path) -> list[Note]:
    """All notes of all journals in the folder, in the order of their times."""
    notes = [note for path in folder.glob("*.jsonl") for note in read_journal(path)]
    return sorted(notes, key=lambda note: float(note["at"]))
