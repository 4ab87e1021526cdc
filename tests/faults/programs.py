"""The processes of the soak: start, kill, freeze and restart them, and leave none running."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests import preloaded
from tests.faults.journal import PATH_VARIABLE, SEED_VARIABLE

STOP_SECONDS = 60.0
RESTART_SECONDS = 1.0


@dataclass
class SoakProgram:
    """A program of the soak: `arguments` are Python's. Each start has its own journal in `folder`."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    process: preloaded.Process | None = None
    starts: int = 0
    away_until: float = 0.0
    enabled: bool = False
    ends: list[int] = field(default_factory=list)
    """Exit codes of the processes that nobody stopped."""

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def journal_path(self) -> Path:
        """The journal of its latest start."""
        return self.folder / f"{self.name}-{self.starts}.jsonl"

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def start(self) -> None:
        self.starts += 1
        variables = {
            PATH_VARIABLE: str(self.journal_path),
            SEED_VARIABLE: f"{self.environment[SEED_VARIABLE]} {self.name} {self.starts}",
        }
        with self.log_path.open("ab") as log:
            self.process = preloaded.start(
                self.arguments, env={**self.environment, **variables}, stdout=log, stderr=log
            )

    def restart_if_due(self, now: float) -> None:
        """Start the program if it is enabled and does not run, and its downtime or its pause after an end is over."""
        if self.runs or not self.enabled:
            return
        if self.process is not None:
            self.ends.append(self.process.returncode)
            self.clear()
            self.away_until = now + RESTART_SECONDS
        if now >= self.away_until:
            self.start()

    def kill(self, away: float = 0.0) -> None:
        """Kill the process and all that it has started; `away` is the downtime that follows, in seconds."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.clear()
        self.away_until = time.monotonic() + away

    def kill_alone(self, away: float) -> None:
        """Kill only the process: its children have to notice by themselves."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.away_until = time.monotonic() + away

    def clear(self) -> None:
        """Forget a process that has ended, and kill the children that it left."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it has started."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def stop(self, away: float = 0.0) -> int | None:
        """Stop the process by SIGTERM, then by SIGKILL; return its exit code, None after SIGKILL."""
        code = None
        if self.process:
            with suppress(ProcessLookupError):
                self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                code = self.process.wait(STOP_SECONDS)
        self.kill(away)
        return code

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


def processes_of(folder: Path) -> list[int]:
    """Return the processes with a journal in this folder and their descendants, also those without a parent."""
    mark = f"{PATH_VARIABLE}={folder}/".encode()
    pids = []
    for pid in _processes():
        with suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes():
                pids.append(pid)
    return pids


def kill_all(folder: Path) -> None:
    """Kill the remaining processes whose journals are in this folder."""
    for pid in processes_of(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Return the ids of the children of a process, sorted."""
    return sorted(child for child, (parent, _) in _processes().items() if parent == pid)


def child_running(pid: int, command: str) -> int | None:
    """Return the child of a process whose command line ends in `command`, or None."""
    matches = (child for child, (parent, line) in _processes().items() if parent == pid and line.endswith(command))
    return next(matches, None)


def _processes() -> dict[int, tuple[int, str]]:
    """Return the parent and the command line of each living process."""
    living = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            line = (folder / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
            if state not in "ZX":
                living[int(folder.name)] = (int(parent), line)
    return living
