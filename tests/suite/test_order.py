"""The order of the tests: the longest first, or a random order that a seed repeats."""

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

from tests.server import ROOT
from tests.suite.__main__ import MAX_SEED, parse_order
from tests.suite.order import LONGEST, pytest_collection_modifyitems

pytestmark = pytest.mark.unit

MODULES = ["tests/audit/test_a.py", "tests/audit/test_b.py", "tests/auth/test_c.py", *LONGEST]


def order(seed: int | None) -> list[str]:
    items: Any = [SimpleNamespace(nodeid=f"{module}::test_{n}") for module in MODULES for n in range(5)]
    config: Any = SimpleNamespace(getoption=lambda name: seed)
    pytest_collection_modifyitems(config, items)
    return [item.nodeid for item in items]


def modules_of(nodeids: list[str]) -> list[str]:
    return list(dict.fromkeys(nodeid.partition("::")[0] for nodeid in nodeids))


def test_without_a_seed_only_the_longest_tests_change_their_place() -> None:
    assert modules_of(order(None)) == [*LONGEST, *MODULES[:3]]
    assert all((ROOT / path).exists() for path in LONGEST)


def test_a_seed_repeats_an_order() -> None:
    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(order(None))


def test_the_tests_of_a_module_stay_together() -> None:
    nodeids = order(3)
    assert modules_of(nodeids) == [nodeid.partition("::")[0] for nodeid in nodeids[::5]]
    assert modules_of(nodeids) != modules_of(order(None))
    assert [nodeid[-1] for nodeid in nodeids[:5]] != list("01234")


def test_the_order_is_random_or_the_one_of_a_seed() -> None:
    assert parse_order("17") == 17
    assert 0 <= parse_order("random") < MAX_SEED
    with pytest.raises(argparse.ArgumentTypeError, match="'shuffled' is neither `random` nor the number"):
        parse_order("shuffled")
