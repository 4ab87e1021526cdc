"""Python programs as forks of a process that has already imported their libraries, which saves half of their start.

`start` and `run` are for tests of what a program does once it runs. Tests of the start itself use `processes.start`,
and so does `start` if the environment has variables that only the start of an interpreter reads. A fork is like any
other process: it has its own session, environment, working folder, standard streams, `sys.argv` and `__main__`, and a
fork that runs `manage.py` imports the server itself.

    python -m tests.preloaded CHANNEL MODULE …

is the process that is forked. It imports the modules, and forks for each message on the socket CHANNEL: a
`ProgramStart` as JSON, with the standard streams of the fork and a pipe for its exit code.
"""

import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Protocol

from tests import processes

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 2**20
STATUS = struct.Struct("i")
STREAMS = 3

# The libraries of manage.py that need no settings, and the whole library of packs.
MODULES = {
    "manage.py": (
        "celery.app.base",
        "celery.apps.beat",
        "celery.apps.worker",
        "cryptography.fernet",
        "cryptography.x509",
        "django.contrib.postgres.forms",
        "django.core.management",
        "django.core.management.commands.migrate",
        "django.db.migrations.executor",
        "django.db.models",
        "django.forms",
        "django.template.defaultfilters",
        "django.test.client",
        "django.views.debug",
        "gunicorn.app.base",
        "gunicorn.arbiter",
        "gunicorn.workers.gthread",
        "httpx",
        "jinja2",
        "jsonschema",
        "jwt",
        "redis",
        "requests",
        "structlog",
        "yaml",
    ),
    "flyte_client": ("flyte_client", "flyte_client.cli.flyte", "flyte_client.packs.common.program"),
}


class Process(Protocol):
    """The attributes that `subprocess.Popen` and `ForkedProcess` have in common."""

    pid: int
    returncode: Any
    stdin: Any
    stdout: Any
    stderr: Any

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


@dataclass
class ProgramStart:
    """A program to run: the arguments of the interpreter, the working folder, and the environment."""

    arguments: list[str]
    cwd: str
    environment: dict[str, str]


class ForkedProcess:
    """A running fork, with the methods of `subprocess.Popen`. Its parent reports its exit code through a pipe."""

    stdin: IO[Any] | None = None
    stdout: IO[Any] | None = None
    stderr: IO[Any] | None = None

    def __init__(self, pid: int, status_pipe: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status_pipe = status_pipe

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status_pipe], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0)
            status = os.read(self._status_pipe, STATUS.size)
            os.close(self._status_pipe)
            # The pipe is closed without a status if the parent was killed.
            self.returncode = STATUS.unpack(status)[0] if status else -signal.SIGKILL
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that is forked, started on first use. It ends with the process that has started it."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._channel, other):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_BYTES)
        with other:
            command = [sys.executable, "-m", "tests.preloaded", str(other.fileno()), *modules]
            self._process = processes.start(command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[other.fileno()])

    def fork(self, request: ProgramStart, streams: Sequence[int]) -> ForkedProcess:
        reader, writer = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._channel, [json.dumps(asdict(request)).encode()], [*streams, writer])
                answer = self._channel.recv(STATUS.size)
        finally:
            os.close(writer)
        assert answer, "the process to fork has ended"
        pid: int = STATUS.unpack(answer)[0]
        processes.watchdog.register(pid, signal.SIGKILL, None)
        return ForkedProcess(pid, reader)


@cache
def _fork_server(kind: str, owner: int) -> ForkServer:
    return ForkServer(MODULES[kind])


def start(
    arguments: Sequence[str],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str],
    stdin: int | IO[Any] = subprocess.DEVNULL,
    stdout: int | IO[Any],
    stderr: int | IO[Any],
    text: bool = False,
) -> Process:
    """Start a Python program with these arguments of the interpreter, in a new session."""
    kind = arguments[1].partition(".")[0] if arguments[0] == "-m" else arguments[0]
    if kind not in MODULES or not _starts_alike(env):
        command = [sys.executable, *arguments]
        return processes.start(command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, text=text)
    processes.watchdog.ensure()
    environment = {**env, processes.TOKENS_VARIABLE: processes.watchdog.tokens}
    inner, outer = zip(
        *(_open_stream(number, kind) for number, kind in enumerate((stdin, stdout, stderr))), strict=True
    )
    try:
        fork = _fork_server(kind, os.getpid()).fork(ProgramStart([*arguments], str(cwd), environment), inner)
    finally:
        for fd, stream in zip(inner, (stdin, stdout, stderr), strict=True):
            if stream in (subprocess.PIPE, subprocess.DEVNULL):
                os.close(fd)
    modes = ("w", "r", "r") if text else ("wb", "rb", "rb")
    pipes = [None if fd is None else os.fdopen(fd, mode) for fd, mode in zip(outer, modes, strict=True)]
    fork.stdin, fork.stdout, fork.stderr = pipes
    return fork


def run(
    arguments: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str], text: str = "", timeout: float
) -> "subprocess.CompletedProcess[str]":
    """Run a Python program with this text as its input until it ends, and return its output.

    Raises `subprocess.TimeoutExpired` after `timeout` seconds.
    """
    with tempfile.TemporaryFile("w+") as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        stdin.write(text)
        stdin.seek(0)
        process = start(arguments, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        outputs = [_read_text(file) for file in (stdout, stderr)]
    return subprocess.CompletedProcess([*arguments], code, *outputs)


def _read_text(file: IO[bytes]) -> str:
    file.seek(0)
    return io.TextIOWrapper(file, encoding="utf-8").read()


def _starts_alike(environment: Mapping[str, str]) -> bool:
    """Return True if the variables for the start of an interpreter are those of this process."""
    names = {name for name in {*environment, *os.environ} if name.startswith(("PYTHON", "LC_", "LANG"))}
    names.discard("PYTHONUNBUFFERED")
    return all(environment.get(name) == os.environ.get(name) for name in names)


def _open_stream(number: int, stream: int | IO[Any]) -> tuple[int, int | None]:
    """Return the fork's file descriptor of a stream, and for a pipe the one of its other end."""
    if stream == subprocess.PIPE:
        reader, writer = os.pipe()
        return (reader, writer) if number == 0 else (writer, reader)
    if stream == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_RDWR), None
    return (stream if isinstance(stream, int) else stream.fileno()), None


def wait_for_request(channel: socket.socket) -> ProgramStart:
    """Fork for each message, and return the request in the fork. Exit when the other end of the channel is closed."""
    wakeup, signals = os.pipe()
    os.set_blocking(signals, False)
    signal.set_wakeup_fd(signals)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    status_pipes: dict[int, int] = {}
    sources: list[Any] = [channel, wakeup]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if wakeup in ready:
            os.read(wakeup, MAX_BYTES)
            report_ends(status_pipes)
        if channel not in ready:
            continue
        message, fds, _, _ = socket.recv_fds(channel, MAX_BYTES, STREAMS + 1)
        if not message:
            sys.exit()
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            channel.close()
            request = ProgramStart(**json.loads(message))
            enter(request, fds[:STREAMS], [wakeup, signals, *fds, *status_pipes.values()])
            return request
        status_pipes[pid] = fds.pop()
        for fd in fds:
            os.close(fd)
        channel.send(STATUS.pack(pid))


def report_ends(status_pipes: dict[int, int]) -> None:
    """Report the exit code of each fork that has ended."""
    with suppress(ChildProcessError):
        while (end := os.waitpid(-1, os.WNOHANG))[0]:
            pipe = status_pipes.pop(end[0])
            with suppress(BrokenPipeError):
                os.write(pipe, STATUS.pack(os.waitstatus_to_exitcode(end[1])))
            os.close(pipe)


def enter(request: ProgramStart, streams: Sequence[int], fds: Sequence[int]) -> None:
    """Turn this process into one that the request describes: its session, folder, environment and streams."""
    os.setsid()
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
    for fd in fds:
        os.close(fd)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    unbuffered = bool(request.environment.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", errors="backslashreplace", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout.reconfigure(write_through=unbuffered)
    sys.stderr.reconfigure(line_buffering=True, write_through=unbuffered)


def execute(request: ProgramStart) -> None:
    """Run the module or the script of a request as `__main__`."""
    if request.arguments[0] == "-m":
        _, name, *arguments = request.arguments
        sys.argv, sys.path[0] = [name, *arguments], request.cwd
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = request.arguments, str(Path(request.arguments[0]).resolve().parent)
        runpy.run_path(request.arguments[0], run_name="__main__")


if __name__ == "__main__":
    gc.disable()
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    gc.enable()
    execute(wait_for_request(socket.socket(fileno=int(sys.argv[1]))))
