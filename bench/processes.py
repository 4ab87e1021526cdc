"""Processor time of processes, from Linux's /proc."""

import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root: int) -> float:
    """Sum the processor seconds of a process and its descendants, including those that ended and were waited for."""
    if not root:
        return 0.0
    processes = dict(filter(None, map(_read_process, Path("/proc").iterdir())))
    family = {root}
    while children := {pid for pid, (parent, _) in processes.items() if parent in family} - family:
        family |= children
    return sum(processes[pid][1] for pid in family if pid in processes) / TICKS_PER_SECOND


def _read_process(folder: Path) -> tuple[int, tuple[int, int]] | None:
    """Return the id of a process, that of its parent, and its ticks; None if it is not a running process."""
    if not folder.name.isdigit():
        return None
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None  # the process has ended
    return int(folder.name), (int(fields[1]), sum(map(int, fields[11:15])))
