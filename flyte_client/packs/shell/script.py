"""Running of a bash script with limits on time and output, until it is cancelled."""

import codecs
import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from flyte_client.packs.shell.settings import ShellSettings
from flyte_formats.characters import replace_surrogates

TIMEOUT_EXIT_CODE = 124  # like timeout(1) of the GNU coreutils
KILLED_EXIT_CODE = -1  # like the original, for a script that was ended by a signal
# Interval of checks for cancellation, and for the end of a script whose outputs are still open.
POLL_SECONDS = 0.1
CHUNK_SIZE = 65536
# Time to read the remaining output after the script has ended or was killed: a background process, or one that left the
# group, may keep the pipe open.
DRAIN_SECONDS = 1.0
# Linux limits one argument, and one variable with its name, to 128 KiB with the final NUL (execve(2), MAX_ARG_STRLEN).
# A larger script is read from a file.
MAX_ARGUMENT_BYTES = 128 * 1024 - 1


@dataclass(frozen=True)
class Script:
    """A bash script with the text for its standard input and its own environment variables. No text contains NUL."""

    command: str
    stdin: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass
class CapturedOutput:
    """The first `limit` bytes of one pipe. The rest is read and dropped, so that the script does not block."""

    limit: int
    data: bytearray = field(default_factory=bytearray)
    is_truncated: bool = False
    is_closed: bool = False

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


def run_script(script: Script, settings: ShellSettings, cancelled: threading.Event) -> ScriptResult:
    """Run the script with bash within the limits.

    The script ends when bash has exited. Its outputs are then read to their end, for at most `DRAIN_SECONDS`;
    background processes that keep them open continue to run. If bash does not exit in time, or when `cancelled` is set,
    the whole process group is killed. Raises `OSError` if bash can't be started.
    """
    deadline = ScriptDeadline(time.monotonic() + settings.timeout, cancelled)
    with _start_bash(script, settings) as process:
        outputs = {pipe: CapturedOutput(settings.max_output_bytes) for pipe in (process.stdout, process.stderr) if pipe}
        _read_outputs(outputs, deadline, process)
        is_finished = _wait_for_exit(process, deadline)
        if not is_finished:
            _kill_group(process)
        _read_outputs(outputs, ScriptDeadline(time.monotonic() + DRAIN_SECONDS, threading.Event()))
        process.wait()
        stdout, stderr = outputs.values()
    named_outputs = {"stdout": stdout, "stderr": stderr}
    notes = [
        f"{name} was truncated to {output.limit} bytes" for name, output in named_outputs.items() if output.is_truncated
    ]
    if is_finished:
        exit_code = max(process.returncode, KILLED_EXIT_CODE)
        notes += [
            f"a background process keeps {name} open; its output after the end of the script was discarded"
            for name, output in named_outputs.items()
            if not output.is_closed
        ]
    elif cancelled.is_set():
        exit_code = KILLED_EXIT_CODE
        notes.append("killed because its action was cancelled")
    else:
        exit_code = TIMEOUT_EXIT_CODE
        notes.append(f"killed after {settings.timeout:g} seconds")
    return ScriptResult(stdout.text, stderr.text, exit_code, tuple(notes))


def _start_bash(script: Script, settings: ShellSettings) -> subprocess.Popen[bytes]:
    content = encode_text(script.command)
    with contextlib.ExitStack() as files:
        stdin = files.enter_context(_open_file_with(encode_text(script.stdin))) if script.stdin else subprocess.DEVNULL
        arguments, passed = [b"bash", b"-c", content], []
        if len(content) > MAX_ARGUMENT_BYTES:
            passed = [files.enter_context(_open_file_with(content))]
            arguments[-1] = b". /dev/fd/%d" % passed[0]
        # In a new session, one kill reaches all processes of the script, and Ctrl-C in the pack's terminal none.
        return subprocess.Popen(
            arguments,
            # Not the bash in the `PATH` of the script's variables.
            executable=shutil.which("bash") or "bash",
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(settings.environment) | {name: encode_text(value) for name, value in script.env.items()},
            cwd=settings.folder,
            pass_fds=passed,
            start_new_session=True,
        )


def encode_text(text: str) -> bytes:
    """Encode text in UTF-8; a lone surrogate, which can't be encoded, becomes U+FFFD."""
    return replace_surrogates(text).encode()


@contextlib.contextmanager
def _open_file_with(content: bytes) -> Iterator[int]:
    """Open a file without a name for reading at the start of `content`; return its descriptor."""
    # In memory where possible, because the content can be a secret.
    descriptor = os.memfd_create("flyte") if hasattr(os, "memfd_create") else None
    with tempfile.TemporaryFile() if descriptor is None else os.fdopen(descriptor, "w+b") as file:
        file.write(content)
        file.seek(0)
        yield file.fileno()


def _read_outputs(
    outputs: Mapping[IO[bytes], CapturedOutput],
    deadline: ScriptDeadline,
    process: subprocess.Popen[bytes] | None = None,
) -> bool:
    """Read all outputs to their end; return False if the time ended first, or if `process` did."""
    with selectors.DefaultSelector() as selector:
        for pipe, captured in outputs.items():
            if not captured.is_closed:
                selector.register(pipe, selectors.EVENT_READ, captured)
        while selector.get_map():
            if deadline.is_over or (process and process.poll() is not None):
                return False
            for key, _ in selector.select(min(deadline.remaining, POLL_SECONDS)):
                chunk = os.read(key.fd, CHUNK_SIZE)
                key.data.add(chunk)
                if not chunk:
                    key.data.is_closed = True
                    selector.unregister(key.fileobj)
    return True


def _wait_for_exit(process: subprocess.Popen[bytes], deadline: ScriptDeadline) -> bool:
    while not deadline.is_over:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(deadline.remaining, POLL_SECONDS))
            return True
    return process.poll() is not None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # bash was not waited for, so its id is not reused.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
