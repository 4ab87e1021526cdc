"""The order of the tests: the longest first, or a random order that a seed repeats."""

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

from tests.server import ROOT
from tests.suite.__main__ import MAX_SEED, parse_order
from tests.suite.order import LONGEST, pytest_collection_modifyitems

pytestmark = pytest.mark.unit

MODULES = ["tests/audit/test_a.py", "tests/audit/test_b.py", "tests/auth/test_c.py"]


def test_the_longest_tests_come_first() -> None:
    items: Any = [SimpleNamespace(nodeid=f"{module}::test_{n}") for module in [*MODULES, *LONGEST] for n in range(3)]
    pytest_collection_modifyitems(items)
    assert [item.nodeid.partition("::")[0] for item in items[::3]] == [*LONGEST, *MODULES]
    assert all((ROOT / path).exists() for path in LONGEST)


def test_the_order_is_random_or_the_one_of_a_seed() -> None:
    assert parse_order("17") == 17
    assert 0 <= parse_order("random") < MAX_SEED
    with pytest.raises(argparse.ArgumentTypeError, match="'shuffled' is neither `random` nor the number"):
        parse_order("shuffled")
