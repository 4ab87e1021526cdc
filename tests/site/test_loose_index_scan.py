"""Loose index scans: distinct values within bounds, by one statement, at a cost that depends only on their number."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flyte_site.core.ids import new_id
from flyte_site.db.loose_index_scan import LooseIndexScan
from flyte_site.db.postgresql.plans import index_order
from packs.models import Action
from tests.packs.actions import waiting
from tests.reading import cost, statements

pytestmark = [pytest.mark.database, pytest.mark.django_db]

NAMES = LooseIndexScan("packs_action", ("pack_name",), ("labels_key", "ready_at"), where="is_queued")
KEYS = LooseIndexScan("packs_action", ("pack_name", "labels_key"), ("ready_at",), where="is_queued")
LABELS_OF_NAME = LooseIndexScan("packs_action", ("labels_key",), ("ready_at",), where="is_queued AND pack_name = %s")
STEPS = LooseIndexScan("packs_action", ("step_id",), ("id",))
X, Y = '{"env":"x"}', '{"env":"y"}'


@pytest.fixture
def queue() -> None:
    for name, env in (("B", "x"), ("A", "y"), ("A", "x"), ("A", "x"), ("C", "x"), ("C", "y")):
        waiting(name, labels={"env": env})
    Action.objects.filter(id=waiting("finished").id).update(is_queued=False, state="SUCCESS")


CASES: dict[str, tuple[LooseIndexScan, tuple[str, ...], dict[str, Any], list[tuple[Any, ...]]]] = {
    "one column": (NAMES, (), {}, [("A",), ("B",), ("C",)]),
    "one column, bounded": (NAMES, (), {"limit": 2}, [("A",), ("B",)]),
    "a bound that is not reached": (NAMES, (), {"limit": 4}, [("A",), ("B",), ("C",)]),
    "two columns": (KEYS, (), {}, [("A", X), ("A", Y), ("B", X), ("C", X), ("C", Y)]),
    "first values": (KEYS, (), {"first_values": ["C", "none", "A"]}, [("A", X), ("A", Y), ("C", X), ("C", Y)]),
    "a bound for each first value": (KEYS, (), {"first_values": ["C", "A"], "limit": 1}, [("A", X), ("C", X)]),
    "a condition with a value": (LABELS_OF_NAME, ("A",), {}, [(X,), (Y,)]),
    "a condition that nothing meets": (LABELS_OF_NAME, ("none",), {}, []),
    "no condition": (STEPS, (), {}, [("step-1",)]),
    "another query of the values": (
        KEYS,
        (),
        {
            "select": "SELECT labels_key, count(*) FROM keys WHERE pack_name > %s GROUP BY labels_key",
            "select_values": "A",
        },
        [(X, 2), (Y, 1)],
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("queue")
def test_distinct_values_are_found_within_bounds(case: str) -> None:
    scan, where_values, options, expected = CASES[case]
    rows = scan.fetch(*where_values, **options)
    assert sorted(rows) == expected


@pytest.mark.usefixtures("queue")
def test_all_values_of_several_columns_are_bounded_together() -> None:
    rows = KEYS.fetch(limit=3)
    assert len(set(rows)) == 3
    assert set(rows) <= set(KEYS.fetch())


def test_an_empty_table_has_no_values() -> None:
    assert (NAMES.fetch(), KEYS.fetch(limit=5), KEYS.fetch(first_values=["A"])) == ([], [], [])


@pytest.mark.usefixtures("queue")
def test_a_scan_is_one_statement() -> None:
    with CaptureQueriesContext(connection) as queries:
        KEYS.fetch(limit=10)
    assert len(statements(queries)) == 1


def fill(count: int) -> None:
    row = waiting("Many", labels={"env": "x"})
    fields = {field.attname: getattr(row, field.attname) for field in Action._meta.concrete_fields}
    copies = (Action(**{**fields, "id": new_id(), "correlation_id": new_id()}) for _ in range(count))
    Action.objects.bulk_create(copies, batch_size=500)


@pytest.mark.parametrize("scan", [NAMES, KEYS], ids=["one column", "two columns"])
def test_the_cost_does_not_depend_on_the_rows_of_a_value(scan: LooseIndexScan) -> None:
    costs = []
    for count in (50, 500):
        fill(count)
        with index_order():
            costs.append(cost(lambda: scan.fetch(limit=10)))
    assert costs[1] <= costs[0] + 20
