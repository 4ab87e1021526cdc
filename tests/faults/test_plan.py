"""The plan of faults, and the journals of the soak."""

from pathlib import Path

import pytest

from tests.faults.journal import Journal, read_journals
from tests.faults.plan import WEIGHTS, make_plan
from tests.faults.report import tracebacks

pytestmark = pytest.mark.unit

KINDS = frozenset(WEIGHTS)


def test_a_plan_depends_only_on_its_seed() -> None:
    assert make_plan(7, 60, KINDS, 1) == make_plan(7, 60, KINDS, 1)
    assert make_plan(7, 60, KINDS, 1) != make_plan(8, 60, KINDS, 1)


@pytest.mark.parametrize("seed", range(20))
def test_each_requested_fault_comes_if_there_is_time_and_no_other(seed: int) -> None:
    kinds = frozenset({"pack killed", "server stopped", "Redis stopped"})
    plan = make_plan(seed, 30, kinds, 1)
    assert {fault.kind for fault in plan} == kinds
    assert {fault.kind for fault in plan[:3]} == kinds
    assert [fault.at for fault in plan] == sorted(fault.at for fault in plan)
    assert all(0 < fault.at < 30 and 0 <= fault.choice < 1 and fault.seconds > 0 for fault in plan)


def test_journals_are_read_in_the_order_of_time_without_a_line_that_a_kill_cut_off(tmp_path: Path) -> None:
    first, second = Journal(tmp_path / "one.jsonl"), Journal(tmp_path / "other.jsonl")
    first.note("first", n=1)
    second.note("second", n=2)
    first.note("third", n=3)
    with (tmp_path / "other.jsonl").open("a") as file:
        file.write('{"kind": "cut o')
    assert [note["kind"] for note in read_journals(tmp_path)] == ["first", "second", "third"]


def test_tracebacks_are_counted_by_their_exceptions() -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    f()\nValueError: no\n'
    assert tracebacks(f"a line\n{trace}{trace}another: line\n") == {"ValueError: no": 2}


def test_a_traceback_in_a_log_line_is_found_though_its_lines_are_escaped() -> None:
    line = (
        'level=error event="no:\\nTraceback (most recent call last):\\n  File \\"x.py\\"\\n    f()\\nValueError: no"\n'
    )
    assert tracebacks(line) == {'ValueError: no"': 1}
