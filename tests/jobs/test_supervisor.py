"""The supervisor with small programs in place of the server and the jobs."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flyte_site.server.supervisor import MAX_BACKOFF_SECONDS, get_restart_delay
from tests import processes
from tests.jobs.processes import Running, program, wait_until

STEADY = "import signal; signal.pause()"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True:
    signal.pause()
"""
RELOADING = """
import signal
signal.signal(signal.SIGHUP, lambda *_: print("reloaded", flush=True))
print("hears", flush=True)
while True:
    signal.pause()
"""
BROKEN = "raise SystemExit(7)"

RUN = """
import logging, sys
from flyte_site.core.observability.logging_config import build_logging_config
from logging.config import dictConfig
from flyte_site.server.supervisor import ChildProcess, Supervisor
dictConfig(build_logging_config("INFO", ""))
children = [
    ChildProcess(f"child{n}", [sys.executable, "-c", code], reloads_on_hangup="SIGHUP" in code)
    for n, code in enumerate(sys.argv[2:])
]
sys.exit(Supervisor(children, {}, stop_timeout=float(sys.argv[1])).run())
"""


@contextmanager
def supervised(folder: Path, *codes: str, stop_seconds: float = 60.0) -> Iterator[Running]:
    """Supervise children that run these programs; kill those that do not stop within `stop_seconds`."""
    with program(folder, os.environ, [sys.executable, "-c", RUN, str(stop_seconds), *codes]) as started:
        yield started


@pytest.mark.unit
def test_the_restart_delay_increases_up_to_a_maximum() -> None:
    assert [get_restart_delay(ends) for ends in range(7)] == [0, 1, 2, 4, 8, 16, MAX_BACKOFF_SECONDS]
    assert get_restart_delay(1000) == MAX_BACKOFF_SECONDS


@pytest.mark.acceptance
def test_a_killed_child_is_restarted_and_the_others_continue(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, STEADY) as run:
        run.wait_for("process_started", times=2)
        first, other = run.child("child0"), run.child("child1")
        os.kill(first, signal.SIGKILL)
        run.wait_for("process_started", "process=child0", times=2)
        assert (run.child("child0") != first, run.child("child1")) == (True, other)
        assert run.said("process_ended", "process=child0", "code=-9")
        assert run.stop() == 0
        assert run.members() == []


@pytest.mark.acceptance
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_each_stop_signal_stops_all_with_code_0(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path, STEADY, STEADY) as run:
        run.wait_for("process_started", times=2)
        assert (run.stop(number), run.members()) == (0, [])


@pytest.mark.acceptance
def test_a_hangup_without_a_terminal_is_passed_on_to_children_that_reload(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, RELOADING) as run:
        run.wait_for("process_started", times=2)
        run.wait_for("hears")
        children = run.child("child0"), run.child("child1")
        for times in (1, 2):
            run.process.send_signal(signal.SIGHUP)
            run.wait_for("reloaded", times=times)
        assert (run.child("child0"), run.child("child1")) == children
        assert not run.said("process_ended")
        assert (run.stop(), run.members()) == (0, [])


@pytest.mark.acceptance
def test_the_supervisor_stops_when_its_terminal_is_closed(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    leader, end = processes.fork_into_terminal()
    if not leader:
        # If the suite runs under `nohup`, its processes inherit that SIGHUP is ignored.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with open(tmp_path / "log", "ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.execv(sys.executable, [sys.executable, "-c", RUN, "60", STEADY, RELOADING])
    wait_until(lambda: "hears" in (tmp_path / "log").read_text(), lambda: (tmp_path / "log").read_text())
    os.kill(leader, signal.SIGHUP)
    wait_until(lambda: "reloaded" in (tmp_path / "log").read_text(), lambda: (tmp_path / "log").read_text())
    os.close(end)
    ended: list[int] = []

    def has_ended() -> bool:
        pid, status = os.waitpid(leader, os.WNOHANG)
        ended.extend([status] if pid else [])
        return bool(ended)

    wait_until(has_ended, lambda: (tmp_path / "log").read_text())
    assert os.waitstatus_to_exitcode(ended[0]) == 0


@pytest.mark.acceptance
def test_a_child_that_does_not_stop_is_killed_and_the_exit_code_is_1(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, STUBBORN, stop_seconds=1.0) as run:
        run.wait_for("deaf")
        assert (run.stop(), run.members()) == (1, [])
        assert run.said("process_killed")


@pytest.mark.acceptance
def test_a_second_stop_signal_kills_the_remaining_children(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, STUBBORN, stop_seconds=10_000.0) as run:
        run.wait_for("deaf")
        steady, stubborn = run.child("child0"), run.child("child1")
        run.process.send_signal(signal.SIGINT)
        wait_until(lambda: steady not in run.members(), lambda: "the steady one stopped")
        assert stubborn in run.members()
        assert (run.stop(signal.SIGINT), run.members()) == (1, [])


@pytest.mark.acceptance
def test_a_child_that_cannot_run_stops_everything_with_its_code(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, BROKEN) as run:
        assert (run.process.wait(60), run.members()) == (7, [])


@pytest.mark.acceptance
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child that its parent has ended")
def test_when_the_supervisor_is_killed_its_children_end_too(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, STEADY) as run:
        run.wait_for("process_started", times=2)
        run.process.kill()
        run.process.wait()
        wait_until(lambda: run.members() == [], lambda: f"{run.members()} gone")
