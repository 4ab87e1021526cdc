"""The processes of the soak: started, killed, frozen, started again, and none left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests import processes
from tests.faults.journal import PATH_VARIABLE, SEED_VARIABLE
from tests.server import ROOT

STOP_SECONDS = 60.0
AGAIN_SECONDS = 1.0


@dataclass
class Program:
    """A program that is to run: `arguments` are Python's. Each start has a journal of its own in `folder`."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    away_until: float = 0.0
    wanted: bool = False
    ends: list[int] = field(default_factory=list)
    """Exit codes of those starts that ended by themselves."""

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
        own = {
            PATH_VARIABLE: str(self.journal_path),
            SEED_VARIABLE: f"{self.environment[SEED_VARIABLE]} {self.name} {self.starts}",
        }
        with self.log_path.open("ab") as log:
            self.process = processes.start(
                [sys.executable, *self.arguments],
                cwd=ROOT,
                env={**self.environment, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def look_after(self, now: float) -> None:
        """Start it where it does not run and may: after a kill when its time away is over, else after a pause."""
        if self.runs or not self.wanted:
            return
        if self.process is not None:
            self.ends.append(self.process.returncode)
            self.clear()
            self.away_until = now + AGAIN_SECONDS
        if now >= self.away_until:
            self.start()

    def kill(self, away: float = 0.0) -> None:
        """SIGKILL to it and all that it has started; `away` is for how many seconds it then stays so."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.clear()
        self.away_until = time.monotonic() + away

    def kill_alone(self, away: float) -> None:
        """SIGKILL to it alone: what it has started has to notice by itself."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.away_until = time.monotonic() + away

    def clear(self) -> None:
        """Forget the process that has ended, and end what it left behind."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process = None

    def signal(self, number: signal.Signals) -> None:
        """To it and all that it has started."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def stop(self, away: float = 0.0) -> int | None:
        """SIGTERM, as an operator stops it, and SIGKILL if it does not end; its exit code, None after a kill."""
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


def ours(folder: Path) -> list[int]:
    """Processes that were started with a journal in this folder, and all that they have started, dead parent or not."""
    mark = f"{PATH_VARIABLE}={folder}/".encode()
    found = []
    for pid in _processes():
        with suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
    return found


def kill_all(folder: Path) -> None:
    """SIGKILL to what is left of the processes whose journals are in this folder."""
    for pid in ours(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Processes that this one has started, by their ids, in the order of those."""
    return sorted(one for one, (parent, _) in _processes().items() if parent == pid)


def child_running(pid: int, command: str) -> int | None:
    """The child of this process whose command line ends in `command`."""
    found = (one for one, (parent, line) in _processes().items() if parent == pid and line.endswith(command))
    return next(found, None)


def _processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of each process that is alive."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            line = (folder / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
            if state not in "ZX":
                found[int(folder.name)] = (int(parent), line)
    return found
