"""`manage.py` as an operator runs it, with an environment of the test's own."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests import discretion, processes
from tests.server import ROOT, server_environment

PATIENCE = 60.0


def manage(*arguments: str, folder: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end; the database is a file in `folder` where the environment names none."""
    return processes.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=server_environment(f"sqlite:///{folder / 'manage.sqlite3'}", environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@contextmanager
def serving(log_path: Path, environment: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs `manage.py serve` with exactly this environment for as long as the block runs."""
    with log_path.open("ab") as log:
        process = processes.start(
            [sys.executable, "manage.py", "serve"], cwd=ROOT, env=dict(environment), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        discretion.read(log_path.read_text(errors="replace"), str(log_path), environment)
