"""`manage.py` commands that run until they are stopped, as an operator runs them."""

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
from functools import partial
from pathlib import Path

import httpx

from tests import discretion, preloaded, processes
from tests.server import ROOT

PATIENCE = 60.0


@dataclass
class Running:
    """A process in a new process group, and the log of the group."""

    process: preloaded.Process
    log_path: Path

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def said(self, *words: str) -> list[str]:
        """Return the log lines that contain all of these words."""
        return [line for line in self.log().splitlines() if all(word in line for word in words)]

    def wait_for(self, *words: str, times: int = 1) -> list[str]:
        """Wait until at least `times` log lines contain all of these words; return these lines."""
        wait_until(lambda: len(self.said(*words)) >= times, lambda: f"{words} {times} times in:\n{self.log()}")
        return self.said(*words)

    def child(self, name: str) -> int:
        """Return the id of the process that the supervisor last started with this name."""
        pids: list[str] = re.findall(rf"event=process_started process={name} pid=(\d+)", self.log())
        return int(pids[-1])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def members(self) -> list[int]:
        """Return the ids of the live processes of the group."""
        pids = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, _, group = status.read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.process.pid and state not in "ZX":
                    pids.append(int(status.parent.name))
        return pids


@contextmanager
def running(folder: Path, environment: Mapping[str, str], *command: str) -> Iterator[Running]:
    """Run a `manage.py` command with exactly this environment; kill its process group at the end of the block.

    The supervisor starts other processes; it and its processes start as an operator starts them.
    """
    arguments = ["manage.py", *command]
    if command[0] == "run":
        with program(folder, environment, [sys.executable, *arguments]) as started:
            yield started
    else:
        with logged(folder, environment, partial(preloaded.start, arguments)) as started:
            yield started


@contextmanager
def program(
    folder: Path, environment: Mapping[str, str], command: Sequence[str], *, pass_fds: Sequence[int] = ()
) -> Iterator[Running]:
    """Run a program with exactly this environment; kill its process group at the end of the block."""
    start = partial(processes.start, command, pass_fds=pass_fds)
    with logged(folder, environment, start) as started:
        yield started


@contextmanager
def logged(folder: Path, environment: Mapping[str, str], start: Callable[..., preloaded.Process]) -> Iterator[Running]:
    """Start a process with a log file; kill its process group at the end of the block."""
    log_path = folder / f"process-{secrets.token_hex(4)}.log"
    with log_path.open("ab") as log:
        process = start(
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
    """Wait until the condition is true; fail after PATIENCE seconds with the description `what`."""
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert result, f"never came: {what()}"


def wait_for_health(url: str, running: Running) -> None:
    """Wait until the server is healthy."""

    def healthy() -> bool:
        try:
            return httpx.get(f"{url}/health", trust_env=False, timeout=PATIENCE).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(healthy, lambda: f"{url}/health\n{running.log()}")
