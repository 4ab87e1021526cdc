"""Run the suite on both databases at the same time, print one summary, and exit with 0 if both passed.

    python -m tests.suite [--processes N] [--order random|SEED] [PYTEST ARGUMENT …]

PostgreSQL runs only the tests that `tests.suite.selection` selects. Each run has N processes (3). `--order random` runs
the modules, and the tests of each module, in random order, and prints the seed that repeats it. Ctrl-C, or SIGTERM,
stops both runs.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.processes import start
from tests.server import ROOT
from tests.suite.balance import on_one_database, unused_reasons
from tests.suite.report import Report, read_report

STOP_SECONDS = 60.0
INTERRUPTED = 130
NO_TESTS = 5  # pytest's exit code if all tests are deselected
PLUGINS = ["-p", "tests.suite.order", "-p", "tests.suite.report"]
PYTEST = [sys.executable, "-m", "pytest", "-q", "--dist=worksteal", *PLUGINS]
RANDOM = "random"
MAX_SEED = 10**6


@dataclass
class DatabaseRun:
    """One database's run of pytest. Its lines are printed with its name in front."""

    name: str
    command: Sequence[str]
    report_path: Path
    process: "subprocess.Popen[str]" = field(init=False)
    printer: threading.Thread = field(init=False)
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def start(self) -> None:
        self.process = start(
            self.command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.printer = threading.Thread(target=self._print_lines, daemon=True)
        self.printer.start()

    def _print_lines(self) -> None:
        for line in self.process.stdout or ():
            print(f"{self.name:<10} | {line.rstrip()}", flush=True)
        self.seconds = time.monotonic() - self.started

    def wait(self, seconds: float | None = None) -> int:
        """Wait for the end, and for its last line; return its exit code. Raises `subprocess.TimeoutExpired`."""
        code = self.process.wait(seconds)
        self.printer.join(STOP_SECONDS)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the run and its workers, as a terminal does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def stop(self) -> None:
        """Wait for the end of the run, at most STOP_SECONDS, and kill its remaining processes."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(STOP_SECONDS)
        self.signal(signal.SIGKILL)
        self.process.wait()

    def report(self) -> Report:
        return read_report(self.report_path) or Report()

    def summary(self) -> str:
        outcomes = self.report().outcomes
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or "nothing ran"
        return f"{self.name:<10} | {counts} in {self.seconds:.0f} s (exit code {self.process.returncode})"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.suite", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--processes", type=int, default=3, help="of each run (3)")
    parser.add_argument("--order", type=parse_order, metavar="random|SEED", help="a random order, or that of a seed")
    options, pytest_arguments = parser.parse_known_args(arguments)
    order = [] if options.order is None else ["--random-order-bucket=module", f"--random-order-seed={options.order}"]
    if order:
        print(f"random order: repeat it by `make test ORDER={options.order}`", flush=True)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    with tempfile.TemporaryDirectory() as folder:
        runs = both(Path(folder), options.processes, [*order, *pytest_arguments])
        try:
            run_to_the_end(runs)
        except KeyboardInterrupt:
            print("interrupted: both runs are stopped", flush=True)
            return INTERRUPTED
        faults = [*faults_of(runs, complete=not pytest_arguments)]
        print("\n".join(["", *skips_of(runs), *(run.summary() for run in runs), *faults]))
    if order:
        print(f"random order: repeat it by `make test ORDER={options.order}`")
    print("FAILED" if faults else "passed on both databases")
    return 1 if faults else 0


def parse_order(text: str) -> int:
    """Return the seed of a random order: a new one for `random`, otherwise the number itself."""
    if text != RANDOM and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither `{RANDOM}` nor the number of an earlier random order")
    return random.randrange(MAX_SEED) if text == RANDOM else int(text)


def run_to_the_end(runs: Sequence[DatabaseRun]) -> None:
    """Start the runs and wait for all of them; stop them before returning or raising."""
    with ExitStack() as stack:
        for run in runs:
            run.start()
            stack.callback(run.stop)
        try:
            for run in runs:
                run.wait()
        except KeyboardInterrupt:
            for run in runs:
                run.signal(signal.SIGINT)
            raise


def both(folder: Path, processes: int, arguments: Sequence[str]) -> list[DatabaseRun]:
    sqlite, postgresql = folder / "sqlite.json", folder / "postgresql.json"
    private = [sys.executable, "-m", "tests.private_postgres"]
    select = ["-p", "tests.suite.selection"]
    return [
        DatabaseRun("SQLite", [*PYTEST, f"-n{processes}", f"--report-to={sqlite}", *arguments], sqlite),
        DatabaseRun(
            "PostgreSQL",
            [*private, *PYTEST, *select, f"-n{processes}", f"--report-to={postgresql}", *arguments],
            postgresql,
        ),
    ]


def environment() -> dict[str, str]:
    """Return this process's environment, but let Python cache compiled modules.

    Without the cache each of several hundred processes compiles the whole project, a sixth of its start time.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def faults_of(runs: Sequence[DatabaseRun], *, complete: bool) -> list[str]:
    """Return a line for each reason why the suite fails."""
    sqlite, postgresql = (run.report().database for run in runs)
    failures = [
        f"{run.name:<10} | failed: {test}: {reason}" for run in runs for test, reason in run.report().failures.items()
    ]
    fine = {0} if complete else {0, NO_TESTS}
    codes = [
        f"{run.name} failed with exit code {run.process.returncode}"
        for run in runs
        if run.process.returncode not in fine
    ]
    lone = [f"marked `database`, but ran on one database only: {test}" for test in on_one_database(sqlite, postgresql)]
    unused = [
        f"a reason in tests/suite/balance.py that no test needs: {start}"
        for start in unused_reasons(sqlite, postgresql)
    ]
    return failures + codes + lone + (unused if complete else [])


def skips_of(runs: Sequence[DatabaseRun]) -> list[str]:
    return [f"{run.name:<10} | skipped: {test}: {why}" for run in runs for test, why in run.report().skips.items()]


def _interrupt(signum: int, frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
