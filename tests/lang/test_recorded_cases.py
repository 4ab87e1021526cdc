"""Every recorded template yields what the original yielded, or what a rule says."""

import pytest

from tests.lang.recorded import CASES, Case
from tests.lang.rules import expected_here

pytestmark = pytest.mark.unit

CERTAIN = [case for case in CASES if not case.shape_only]


@pytest.mark.parametrize("case", CERTAIN, ids=str)
def test_a_template_yields_what_was_recorded_or_what_a_rule_says(case: Case) -> None:
    assert case.ours() == expected_here(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.shape_only], ids=str)
def test_a_template_with_a_varying_answer_has_its_shape(case: Case) -> None:
    assert sorted(case.ours()) == sorted(case.original)


def test_most_cases_need_no_rule() -> None:
    unchanged = [case for case in CERTAIN if expected_here(case) is case.original]

    assert len(CASES) == 523
    assert len(unchanged) >= 410
