"""`manage.py` as an operator runs it, with an environment that the test passes."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from django.core.management import get_commands, load_command_class

from tests import discretion, preloaded
from tests.server import server_environment

PATIENCE = 60.0


def manage(*arguments: str, folder: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a command until it ends, on a database file in `folder` unless the environment sets another database."""
    complete = server_environment(f"sqlite:///{folder / 'manage.sqlite3'}", environment)
    return preloaded.run(["manage.py", *arguments], env=complete, timeout=PATIENCE)


def manage_here(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in this process, on its test database. `manage` does the same in a new process."""
    output, errors, code = StringIO(), StringIO(), 0
    with (
        redirect_stdout(output),
        redirect_stderr(errors),
        patch("django.core.management.base.connections.close_all"),
    ):
        try:
            load_command_class(get_commands()[arguments[0]], arguments[0]).run_from_argv(["manage.py", *arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())


@contextmanager
def serving(log_path: Path, environment: Mapping[str, str]) -> Iterator[preloaded.Process]:
    """Run `manage.py serve` with exactly this environment during the block."""
    with log_path.open("ab") as log:
        process = preloaded.start(["manage.py", "serve"], env=environment, stdout=log, stderr=log)
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
