"""Processes that tests start: the functions `start` and `run`, whose processes never outlive the run of tests.

Tests use them instead of `subprocess.Popen` and `subprocess.run`. A watchdog (watchdog.py) kills the processes that are
left when the caller of these functions has ended, even by SIGKILL: those that it has started, and their descendants.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, overload

WATCHDOG = Path(__file__).with_name("watchdog.py")

# The runs that a process belongs to, as `TOKEN` or, in a run within a run, as `TOKEN,TOKEN`.
TOKENS_VARIABLE = "TEST_RUN_TOKENS"

Command = Sequence[str | os.PathLike[str]]


class Watchdog:
    """The watchdog of this process, started on first use."""

    pipe: int | None = None
    tokens = ""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def ensure(self) -> None:
        """Start the watchdog unless it runs. All processes that are started later inherit its token."""
        with self.lock:
            if self.pipe is not None:
                return
            token = f"{os.getpid()}-{secrets.token_hex(8)}"
            outer = os.environ.get(TOKENS_VARIABLE)
            self.tokens = os.environ[TOKENS_VARIABLE] = f"{outer},{token}" if outer else token
            reader, self.pipe = os.pipe()
            try:
                self._start(token, reader)
            finally:
                os.close(reader)

    def _start(self, token: str, reader: int) -> None:
        # The watchdog has no token in its environment, and inherits no open file of this process.
        subprocess.run(
            [sys.executable, "-I", "-S", str(WATCHDOG), token],
            cwd="/",
            env={},
            stdin=reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
        )

    def register(self, pid: int, stop_signal: signal.Signals, folder: Path | None) -> None:
        """Let the watchdog kill this process and remove the folder when the current process has ended."""
        self.ensure()
        line = {"pid": pid, "signal": stop_signal, "folder": str(folder) if folder else None}
        with self.lock:
            assert self.pipe is not None
            os.write(self.pipe, f"{json.dumps(line)}\n".encode())

    def leave_to_parent(self) -> None:
        """Forget the watchdog in a fork: with the pipe open there, it would not notice the end of the parent."""
        if self.pipe is not None:
            os.close(self.pipe)
        self.pipe = None
        self.lock = threading.Lock()


watchdog = Watchdog()
os.register_at_fork(after_in_child=watchdog.leave_to_parent)


def pytest_configure() -> None:
    """Start the watchdog before anything else, so that all processes of the run inherit the token."""
    watchdog.ensure()


def start(
    command: Command,
    *,
    env: Mapping[str, str] | None = None,
    start_new_session: bool = True,
    stop_signal: signal.Signals = signal.SIGKILL,
    folder: Path | None = None,
    **options: Any,
) -> "subprocess.Popen[Any]":
    """Start a program, in a new session by default; the other options are those of `Popen`.

    If it outlives this process, it gets `stop_signal`, and SIGKILL some seconds later; then `folder` is removed.
    """
    watchdog.ensure()
    environment = {**(os.environ if env is None else env), TOKENS_VARIABLE: watchdog.tokens}
    process = subprocess.Popen(command, env=environment, start_new_session=start_new_session, **options)
    watchdog.register(process.pid, stop_signal, folder)
    return process


@overload
def run(command: Command, *, text: Literal[True], **options: Any) -> "subprocess.CompletedProcess[str]": ...


@overload
def run(command: Command, *, text: Literal[False] = ..., **options: Any) -> "subprocess.CompletedProcess[bytes]": ...


def run(
    command: Command,
    *,
    input: Any = None,
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **options: Any,
) -> "subprocess.CompletedProcess[Any]":
    """Run a program to its end, as `subprocess.run` does; kill its process group if that fails."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if capture_output:
        options["stdout"] = options["stderr"] = subprocess.PIPE
    with start(command, **options) as process:
        try:
            output, errors = process.communicate(input, timeout)
        except BaseException:
            kill_group(process)
            raise
    done = subprocess.CompletedProcess(command, process.returncode, output, errors)
    if check:
        done.check_returncode()
    return done


def kill_group(process: "subprocess.Popen[Any]") -> None:
    """Kill a process that leads a session, and its process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def fork() -> int:
    """Fork this process, as `os.fork` does."""
    watchdog.ensure()
    pid = os.fork()
    if pid:
        watchdog.register(pid, signal.SIGKILL, None)
    return pid


def fork_into_terminal() -> tuple[int, int]:
    """Fork this process into a new terminal, as `os.forkpty` does."""
    watchdog.ensure()
    pid, terminal = os.forkpty()
    if pid:
        watchdog.register(pid, signal.SIGKILL, None)
    return pid, terminal
