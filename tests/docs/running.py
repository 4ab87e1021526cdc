"""Programs of the pages that run during a block of a test."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests import processes
from tests.server import ROOT, Server

SECONDS = 120


@contextmanager
def running(
    command: list[str], folder: Path, environment: Mapping[str, str] = os.environ
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program during the block; kill it and its children at the end."""
    process = processes.start(command, cwd=folder, env=dict(environment))
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_printed(
    lines: str, folder: Path, server: Server, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run printed shell lines in a folder, with the project's programs and this server's address and settings."""
    text = re.sub(r"(?<!\S)\.venv/bin/python", sys.executable, lines.replace("http://localhost:8080", server.url))
    text = re.sub(r"(?<!\S)manage\.py", f"{ROOT}/manage.py", text)
    text = re.sub(r"^flyte ", f"{sys.executable} -m flyte_client.cli ", text, flags=re.MULTILINE)
    complete = {**server.environment, "FLYTE_API": server.url, "PYTHONPATH": str(ROOT), **(environment or {})}
    return processes.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=complete,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
