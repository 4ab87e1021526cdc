"""What processes cost: seconds of processor time, as Linux counts them."""

import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root: int) -> float:
    """Seconds that a process and all that came of it have used, those that ended and were waited for among them."""
    if not root:
        return 0.0
    processes = dict(filter(None, map(_read_process, Path("/proc").iterdir())))
    family = {root}
    while children := {pid for pid, (parent, _) in processes.items() if parent in family} - family:
        family |= children
    return sum(processes[pid][1] for pid in family if pid in processes) / TICKS_PER_SECOND


def _read_process(folder: Path) -> tuple[int, tuple[int, int]] | None:
    """A process's id, its parent's, and its ticks."""
    if not folder.name.isdigit():
        return None
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None  # it has ended meanwhile
    return int(folder.name), (int(fields[1]), sum(map(int, fields[11:15])))
