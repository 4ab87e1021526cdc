"""Programs of the pages, run for as long as a block of a test."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests import processes


@contextmanager
def running(
    command: list[str], folder: Path, environment: Mapping[str, str] = os.environ
) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a program, and all that it starts, for as long as the block runs."""
    process = processes.start(command, cwd=folder, env=dict(environment))
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
