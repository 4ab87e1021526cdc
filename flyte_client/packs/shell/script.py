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

from flyte_client.packs.shell.settings import Bounds

TIMED_OUT = 124  # as timeout(1) of the GNU coreutils
KILLED = -1  # as the original, for a script that a signal ended
# How often a running script is looked at for whether it is still wanted.
LOOK_SECONDS = 0.2
CHUNK = 65536
# What a process wrote before it was killed is in the pipe by then; one that left the group may hold the pipe open.
LAST_WORDS = 1.0


@dataclass
class Captured:
    """What came out of one pipe: the first `limit` bytes. The rest is read, so that the script goes on, and dropped."""

    limit: int
    data: bytearray = field(default_factory=bytearray)
    cut: bool = False

    def add(self, chunk: bytes) -> None:
        space = self.limit - len(self.data)
        self.data += chunk[:space]
        self.cut = self.cut or len(chunk) > space

    @property
    def text(self) -> str:
        """As UTF-8, undecodable bytes replaced; a character that the limit split is left out."""
        return codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(self.data), final=not self.cut)


@dataclass(frozen=True)
class Until:
    """When a script's time is over: at `deadline`, by the monotonic clock, or as soon as `cancelled` is set."""

    deadline: float
    cancelled: threading.Event

    @property
    def over(self) -> bool:
        return self.cancelled.is_set() or self.left <= 0

    @property
    def left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


@dataclass(frozen=True)
class Outcome:
    """`exit_code` is the script's own, `TIMED_OUT` or `KILLED`; `notes` are our words about a cut or a kill."""

    stdout: str
    stderr: str
    exit_code: int
    notes: tuple[str, ...] = ()


def run_script(script: str, bounds: Bounds, cancelled: threading.Event) -> Outcome:
    """Run `bash -c script` within the bounds.

    The script has ended when bash has and everything it started has closed its outputs; a process in the background
    that keeps them open counts as part of it. When time is up, or `cancelled` is set, its whole process group is
    killed. Raises `OSError` or `ValueError` for a script that can't be started.
    """
    until = Until(time.monotonic() + bounds.timeout, cancelled)
    # A session of its own: one kill reaches all of it, and Ctrl-C at the pack's terminal none.
    with subprocess.Popen(
        ["bash", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(bounds.environment),
        cwd=bounds.folder,
        start_new_session=True,
    ) as process:
        outputs = {pipe: Captured(bounds.output) for pipe in (process.stdout, process.stderr) if pipe}
        done = _read(outputs, until) and _ended(process, until)
        if not done:
            _kill_group(process)
            _read(outputs, Until(time.monotonic() + LAST_WORDS, threading.Event()))
        process.wait()
        stdout, stderr = outputs.values()
    cut = [name for name, out in (("stdout", stdout), ("stderr", stderr)) if out.cut]
    notes = [f"{name} was cut after {bounds.output} bytes" for name in cut]
    if done:
        return Outcome(stdout.text, stderr.text, max(process.returncode, KILLED), tuple(notes))
    if cancelled.is_set():
        return Outcome(stdout.text, stderr.text, KILLED, (*notes, "killed, as its action was cancelled"))
    return Outcome(stdout.text, stderr.text, TIMED_OUT, (*notes, f"killed after {bounds.timeout:g} seconds"))


def _read(outputs: Mapping[IO[bytes], Captured], until: Until) -> bool:
    """Read all outputs until each has ended; False when the time was over first."""
    with selectors.DefaultSelector() as selector:
        for pipe, captured in outputs.items():
            selector.register(pipe, selectors.EVENT_READ, captured)
        while selector.get_map():
            if until.over:
                return False
            for key, _ in selector.select(min(until.left, LOOK_SECONDS)):
                chunk = os.read(key.fd, CHUNK)
                key.data.add(chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
    return True


def _ended(process: subprocess.Popen[bytes], until: Until) -> bool:
    while not until.over:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(until.left, LOOK_SECONDS))
            return True
    return process.poll() is not None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # bash may have ended while others of its group live on. Nobody has waited for it yet, so its id is still its own.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
