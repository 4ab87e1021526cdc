"""The supervisor with small programs in place of the server's own."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flyte_site.supervisor import MOST_SECONDS, delay
from tests.jobs.processes import Running, program, wait_until

STEADY = "import signal; signal.pause()"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True:
    signal.pause()
"""
BROKEN = "raise SystemExit(7)"

RUN = """
import logging, sys
from flyte_site.logs import logging_config
from logging.config import dictConfig
from flyte_site.supervisor import Child, Supervisor
dictConfig(logging_config("INFO", ""))
children = [Child(f"child{n}", [sys.executable, "-c", code]) for n, code in enumerate(sys.argv[2:])]
sys.exit(Supervisor(children, {}, stop_seconds=float(sys.argv[1])).run())
"""


@contextmanager
def supervised(folder: Path, *codes: str, stop_seconds: float = 60.0) -> Iterator[Running]:
    """Children that run these programs; what does not stop within that time is killed."""
    with program(folder, os.environ, [sys.executable, "-c", RUN, str(stop_seconds), *codes]) as started:
        yield started


@pytest.mark.unit
def test_it_waits_longer_each_time_and_never_very_long() -> None:
    assert [delay(ends) for ends in range(7)] == [0, 1, 2, 4, 8, 16, MOST_SECONDS]
    assert delay(1000) == MOST_SECONDS


@pytest.mark.acceptance
def test_a_child_that_is_killed_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
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
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_each_way_to_ask_stops_all_with_code_0(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path, STEADY, STEADY) as run:
        run.wait_for("process_started", times=2)
        assert (run.stop(number), run.members()) == (0, [])


@pytest.mark.acceptance
def test_what_does_not_stop_is_killed_and_the_exit_code_says_so(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, STUBBORN, stop_seconds=1.0) as run:
        run.wait_for("deaf")
        assert (run.stop(), run.members()) == (1, [])
        assert run.said("process_killed")


@pytest.mark.acceptance
def test_who_asks_twice_does_not_want_to_wait(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, STUBBORN, stop_seconds=10_000.0) as run:
        run.wait_for("deaf")
        steady, stubborn = run.child("child0"), run.child("child1")
        run.process.send_signal(signal.SIGINT)
        wait_until(lambda: steady not in run.members(), lambda: "the steady one stopped")
        assert stubborn in run.members()
        assert (run.stop(signal.SIGINT), run.members()) == (1, [])


@pytest.mark.acceptance
def test_where_one_can_not_run_at_all_everything_stops_with_its_code(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, BROKEN) as run:
        assert (run.process.wait(60), run.members()) == (7, [])


@pytest.mark.acceptance
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_when_the_supervisor_is_killed_its_children_end_too(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, STEADY) as run:
        run.wait_for("process_started", times=2)
        run.process.kill()
        run.process.wait()
        wait_until(lambda: run.members() == [], lambda: f"{run.members()} gone")
