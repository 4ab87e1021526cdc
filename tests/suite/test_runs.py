"""Two runs of pytest at the same time: one summary, one exit code, and one interrupt for both."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import start
from tests.server import ROOT
from tests.suite.__main__ import PYTEST, DatabaseRun, faults_of, run_to_the_end

SECONDS = 60.0
EITHER = """
import pytest


def test_fine():
    pass


def test_other():
    assert {passes}


@pytest.mark.database
@pytest.mark.skipif({passes}, reason="this database has none")
def test_on_one_database():
    pass
"""


def made_run(folder: Path, name: str, *, passes: bool) -> DatabaseRun:
    """Build a run of two or three tests without Django."""
    file, report = folder / name / "test_either.py", folder / f"{name}.json"
    file.parent.mkdir()
    file.write_text(EITHER.format(passes=passes))
    command = [*PYTEST, "-p", "no:django", "-c", os.devnull, f"--rootdir={file.parent}", f"--report-to={report}"]
    return DatabaseRun(name, [*command, str(file)], report)


@pytest.mark.acceptance
def test_a_failure_on_one_database_fails_both_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fine, broken = made_run(tmp_path, "SQLite", passes=True), made_run(tmp_path, "PostgreSQL", passes=False)
    run_to_the_end([fine, broken])
    assert [fine.process.returncode, broken.process.returncode] == [0, 1]
    assert fine.summary().startswith("SQLite     | 2 passed, 1 skipped in ")
    assert broken.summary().startswith("PostgreSQL | 1 failed, 2 passed in ")
    assert faults_of([fine, broken], complete=False) == [
        "PostgreSQL | failed: test_either.py::test_other: assert False",
        "PostgreSQL failed with exit code 1",
        "marked `database`, but ran on one database only: test_either.py::test_on_one_database",
    ]
    assert faults_of([fine, fine], complete=False) == []
    printed = capsys.readouterr().out
    assert "SQLite     | ..s" in printed
    assert "PostgreSQL | failed: test_either.py::test_other: assert False\n" in printed


@pytest.mark.acceptance
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_both_runs(tmp_path: Path, number: signal.Signals) -> None:
    script = f"""
import signal, sys
from pathlib import Path
from tests.suite import __main__ as suite
code = "import os, sys, time; print(os.getpid(), flush=True); time.sleep({SECONDS})"
runs = [suite.DatabaseRun(name, [sys.executable, "-c", code], Path("none")) for name in ("one", "other")]
suite.both = lambda *_: runs
sys.exit(suite.main([]))
"""
    process = start(
        [sys.executable, "-u", "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    pids = [int(process.stdout.readline().partition("|")[2]) for _ in range(2)]
    process.send_signal(number)
    output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, errors
    assert "interrupted: both runs are stopped" in output
    deadline = time.monotonic() + SECONDS
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "a run goes on"
        time.sleep(0.05)
