"""Run a bash script within bounds of time and output, and only as long as it is wanted."""

import codecs
import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

from flyte_client.packs.shell.settings import ShellSettings

TIMEOUT_EXIT_CODE = 124  # as timeout(1) of the GNU coreutils
KILLED_EXIT_CODE = -1  # as the original, for a script that a signal ended
# How often a running script is looked at for whether it is still wanted.
POLL_SECONDS = 0.2
CHUNK_SIZE = 65536
# What a process wrote before it was killed is in the pipe by then; one that left the group may hold the pipe open.
DRAIN_SECONDS = 1.0


@dataclass
class CapturedOutput:
    """What came out of one pipe: the first `limit` bytes. The rest is read, so that the script goes on, and dropped."""

    limit: int
    data: bytearray = field(default_factory=bytearray)
    is_truncated: bool = False

    def add(self, chunk: bytes) -> None:
        free_bytes = self.limit - len(self.data)
        self.data += chunk[:free_bytes]
        self.is_truncated = self.is_truncated or len(chunk) > free_bytes

    @property
    def text(self) -> str:
        """As UTF-8, undecodable bytes replaced; a character that the limit split is left out."""
        return codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(self.data), final=not self.is_truncated)


@dataclass(frozen=True)
class ScriptDeadline:
    """When a script's time is over: at `deadline`, by the monotonic clock, or as soon as `cancelled` is set."""

    deadline: float
    cancelled: threading.Event

    @property
    def is_over(self) -> bool:
        return self.cancelled.is_set() or self.remaining <= 0

    @property
    def remaining(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


@dataclass(frozen=True)
class ScriptResult:
    """`exit_code` is the script's own, `TIMED_OUT` or `KILLED`; `notes` are our words about a cut or a kill."""

    stdout: str
    stderr: str
    exit_code: int
    notes: tuple[str, ...] = ()


def run_script(script: str, settings: ShellSettings, cancelled: threading.Event) -> ScriptResult:
    """Run `bash -c script` within the bounds.

    The script has ended when bash has and everything it started has closed its outputs; a process in the background
    that keeps them open counts as part of it. When time is up, or `cancelled` is set, its whole process group is
    killed. Raises `OSError` or `ValueError` for a script that can't be started.
    """
    deadline = ScriptDeadline(time.monotonic() + settings.timeout, cancelled)
    # A session of its own: one kill reaches all of it, and Ctrl-C at the pack's terminal none.
    with subprocess.Popen(
        ["bash", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(settings.environment),
        cwd=settings.folder,
        start_new_session=True,
    ) as process:
        outputs = {pipe: CapturedOutput(settings.max_output_bytes) for pipe in (process.stdout, process.stderr) if pipe}
        is_finished = _read_outputs(outputs, deadline) and _wait_for_exit(process, deadline)
        if not is_finished:
            _kill_group(process)
            _read_outputs(outputs, ScriptDeadline(time.monotonic() + DRAIN_SECONDS, threading.Event()))
        process.wait()
        stdout, stderr = outputs.values()
    truncated = [name for name, output in (("stdout", stdout), ("stderr", stderr)) if output.is_truncated]
    notes = [f"{name} was cut after {settings.max_output_bytes} bytes" for name in truncated]
    if is_finished:
        return ScriptResult(stdout.text, stderr.text, max(process.returncode, KILLED_EXIT_CODE), tuple(notes))
    if cancelled.is_set():
        return ScriptResult(stdout.text, stderr.text, KILLED_EXIT_CODE, (*notes, "killed, as its action was cancelled"))
    return ScriptResult(
        stdout.text, stderr.text, TIMEOUT_EXIT_CODE, (*notes, f"killed after {settings.timeout:g} seconds")
    )


def _read_outputs(outputs: Mapping[IO[bytes], CapturedOutput], deadline: ScriptDeadline) -> bool:
    """Read all outputs until each has ended; False when the time was over first."""
    with selectors.DefaultSelector() as selector:
        for pipe, captured in outputs.items():
            selector.register(pipe, selectors.EVENT_READ, captured)
        while selector.get_map():
            if deadline.is_over:
                return False
            for key, _ in selector.select(min(deadline.remaining, POLL_SECONDS)):
                chunk = os.read(key.fd, CHUNK_SIZE)
                key.data.add(chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
    return True


def _wait_for_exit(process: subprocess.Popen[bytes], deadline: ScriptDeadline) -> bool:
    while not deadline.is_over:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(deadline.remaining, POLL_SECONDS))
            return True
    return process.poll() is not None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # bash may have ended while others of its group live on. Nobody has waited for it yet, so its id is still its own.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
