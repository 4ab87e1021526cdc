"""`manage.py` commands that go on until they are stopped, as an operator runs them."""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests import discretion, processes
from tests.server import ROOT

PATIENCE = 60.0


@dataclass
class Running:
    """A process with a process group of its own, and what it and its children have written."""

    process: "subprocess.Popen[bytes]"
    log_path: Path

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def said(self, *words: str) -> list[str]:
        """The lines with all of these words."""
        return [line for line in self.log().splitlines() if all(word in line for word in words)]

    def wait_for(self, *words: str, times: int = 1) -> list[str]:
        """Until so many lines have all of these words."""
        wait_until(lambda: len(self.said(*words)) >= times, lambda: f"{words} {times} times in:\n{self.log()}")
        return self.said(*words)

    def child(self, name: str) -> int:
        """The id of the process that the supervisor last started under this name."""
        pids: list[str] = re.findall(rf"event=process_started process={name} pid=(\d+)", self.log())
        return int(pids[-1])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tells it to stop; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def members(self) -> list[int]:
        """The processes of its group that are alive."""
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, _, group = status.read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.process.pid and state not in "ZX":
                    found.append(int(status.parent.name))
        return found


@contextmanager
def running(folder: Path, environment: Mapping[str, str], *command: str) -> Iterator[Running]:
    """Runs a `manage.py` command with exactly this environment; at the end of the block nothing of it is left."""
    with program(folder, environment, [sys.executable, "manage.py", *command]) as started:
        yield started


@contextmanager
def program(folder: Path, environment: Mapping[str, str], command: Sequence[str]) -> Iterator[Running]:
    """Runs a program so."""
    log_path = folder / f"process-{secrets.token_hex(4)}.log"
    with log_path.open("ab") as log:
        process = processes.start(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    started = Running(process, log_path)
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        discretion.read(started.log(), str(log_path), environment)


def wait_until(condition: Callable[[], object], what: Callable[[], str]) -> None:
    """Waits for the condition, a bounded time."""
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert result, f"never came: {what()}"


def wait_for_health(url: str, running: Running) -> None:
    """Until the server answers."""

    def healthy() -> bool:
        try:
            return httpx.get(f"{url}/health", trust_env=False, timeout=PATIENCE).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(healthy, lambda: f"{url}/health\n{running.log()}")
