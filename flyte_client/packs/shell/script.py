"""Running of a bash script with limits on time and output, until it is cancelled."""

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

TIMEOUT_EXIT_CODE = 124  # like timeout(1) of the GNU coreutils
KILLED_EXIT_CODE = -1  # like the original, for a script that was ended by a signal
# Interval of checks for cancellation.
POLL_SECONDS = 0.2
CHUNK_SIZE = 65536
# Time to read the remaining output after a kill. A process that left the group may keep the pipe open.
DRAIN_SECONDS = 1.0


@dataclass
class CapturedOutput:
    """The first `limit` bytes of one pipe. The rest is read and dropped, so that the script does not block."""

    limit: int
    data: bytearray = field(default_factory=bytearray)
    is_truncated: bool = False

    def add(self, chunk: bytes) -> None:
        free_bytes = self.limit - len(self.data)
        self.data += chunk[:free_bytes]
        self.is_truncated = self.is_truncated or len(chunk) > free_bytes

    @property
    def text(self) -> str:
        """The output decoded as UTF-8, with invalid bytes replaced, without a character that the limit cut."""
        return codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(self.data), final=not self.is_truncated)


@dataclass(frozen=True)
class ScriptDeadline:
    """End of a script's time: at `deadline`, on the monotonic clock, or when `cancelled` is set."""

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
    """Output of a script; `notes` describe truncated output or a kill.

    `exit_code` is the script's, `TIMEOUT_EXIT_CODE` or `KILLED_EXIT_CODE`.
    """

    stdout: str
    stderr: str
    exit_code: int
    notes: tuple[str, ...] = ()


def run_script(script: str, settings: ShellSettings, cancelled: threading.Event) -> ScriptResult:
    """Run `bash -c script` within the limits.

    The script ends when bash has exited and all its child processes have closed the outputs; a background process that
    keeps them open counts as part of the script. On timeout, or when `cancelled` is set, the whole process group is
    killed. Raises `OSError` or `ValueError` for a script that can't be started.
    """
    deadline = ScriptDeadline(time.monotonic() + settings.timeout, cancelled)
    # In a new session, one kill reaches all processes of the script, and Ctrl-C in the pack's terminal none.
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
    notes = [f"{name} was truncated to {settings.max_output_bytes} bytes" for name in truncated]
    if is_finished:
        return ScriptResult(stdout.text, stderr.text, max(process.returncode, KILLED_EXIT_CODE), tuple(notes))
    if cancelled.is_set():
        notes.append("killed because its action was cancelled")
        return ScriptResult(stdout.text, stderr.text, KILLED_EXIT_CODE, tuple(notes))
    notes.append(f"killed after {settings.timeout:g} seconds")
    return ScriptResult(stdout.text, stderr.text, TIMEOUT_EXIT_CODE, tuple(notes))


def _read_outputs(outputs: Mapping[IO[bytes], CapturedOutput], deadline: ScriptDeadline) -> bool:
    """Read all outputs to their end; return False if the time ended first."""
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
    # bash may have exited while others of its group still run. It was not waited for, so its id is not reused.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
