"""What processes cost: seconds of processor time, as Linux counts them."""

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root: int) -> float:
    """Seconds that a process and all that came of it have used, those that ended and were waited for among them."""
    if not root:
        return 0.0
    found = dict(filter(None, map(_read, Path("/proc").iterdir())))
    family = {root}
    while more := {pid for pid, (parent, _) in found.items() if parent in family} - family:
        family |= more
    return sum(found[pid][1] for pid in family if pid in found) / TICK


def _read(folder: Path) -> tuple[int, tuple[int, int]] | None:
    """A process's id, its parent's, and its ticks."""
    if not folder.name.isdigit():
        return None
    try:
        rest = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None  # it has ended meanwhile
    return int(folder.name), (int(rest[1]), sum(map(int, rest[11:15])))
