"""Recorded templates: each renders as in the original, or as a rule requires."""

import pytest

from tests.template.recorded import CASES, Case
from tests.template.rules import expected_here

pytestmark = pytest.mark.unit

CERTAIN = [case for case in CASES if not case.shape_only]


@pytest.mark.parametrize("case", CERTAIN, ids=str)
def test_a_template_renders_as_recorded_or_as_a_rule_requires(case: Case) -> None:
    assert case.ours() == expected_here(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.shape_only], ids=str)
def test_a_template_with_varying_output_renders_the_same_shape(case: Case) -> None:
    assert sorted(case.ours()) == sorted(case.original)


def test_most_cases_need_no_rule() -> None:
    unchanged = [case for case in CERTAIN if expected_here(case) is case.original]

    assert len(CASES) == 523
    assert len(unchanged) >= 410
