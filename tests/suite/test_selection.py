"""The selection of tests for PostgreSQL, and the check that tests marked `database` run on both."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.server import ROOT
from tests.suite.balance import ON_ONE_DATABASE, on_one_database, unused_reasons
from tests.suite.selection import STORE_INDEPENDENT, depends_on_store, is_store_independent

pytestmark = pytest.mark.unit


def item(nodeid: str, *markers: str, fixtures: tuple[str, ...] = ()) -> Any:
    marks = [SimpleNamespace(name=name) for name in markers]
    return SimpleNamespace(nodeid=nodeid, iter_markers=lambda: iter(marks), fixturenames=fixtures)


@pytest.mark.parametrize(
    ("nodeid", "markers", "fixtures", "depends"),
    [
        ("tests/flows/test_a.py::test_a", ["unit"], (), False),
        ("tests/flows/test_a.py::test_a", ["integration"], (), False),
        ("tests/flows/test_a.py::test_a", ["integration", "django_db"], (), True),
        ("tests/flows/test_a.py::test_a", ["integration"], ("db",), True),
        ("tests/flows/test_a.py::test_a", ["unit"], ("transactional_db",), True),
        ("tests/flows/test_a.py::test_a", ["acceptance"], (), True),
        ("tests/flows/test_a.py::test_a", [], (), True),
        ("tests/client/test_a.py::test_a", ["acceptance"], (), False),
        ("tests/client/test_a.py::test_a", ["acceptance", "database"], (), True),
        ("tests/client/test_a.py::test_a", ["unit", "database"], (), True),
    ],
)
def test_tests_that_depend_on_the_database_run_on_both(
    nodeid: str, markers: list[str], fixtures: tuple[str, ...], depends: bool
) -> None:
    assert depends_on_store(item(nodeid, *markers, fixtures=fixtures)) is depends


@pytest.mark.parametrize(
    ("nodeid", "text", "independent"),
    [
        ("tests/client/test_a.py", "pytestmark = pytest.mark.acceptance", True),
        ("tests/client/test_a.py", "pytestmark = [pytest.mark.acceptance, pytest.mark.database]", False),
        ("tests/flows/test_a.py", "pytestmark = pytest.mark.acceptance", False),
        ("tests/flows/test_a.py", "pytestmark = pytest.mark.unit", True),
        ("tests/flows/test_a.py", "pytestmark = pytest.mark.unit\n@pytest.mark.database", False),
        ("tests/flows/test_a.py", "pytestmark = pytest.mark.unit\n@pytest.mark.django_db", False),
    ],
)
def test_modules_without_tests_for_the_database_are_not_imported(
    tmp_path: Path, nodeid: str, text: str, independent: bool
) -> None:
    path = tmp_path / "test_a.py"
    path.write_text(text)
    assert is_store_independent(nodeid, path) is independent
    assert not is_store_independent(nodeid, tmp_path)


@pytest.mark.parametrize("start", [*STORE_INDEPENDENT, *ON_ONE_DATABASE])
def test_the_paths_and_functions_of_the_lists_exist(start: str) -> None:
    path, _, function = start.partition("[")[0].partition("::")
    assert (ROOT / path).exists()
    assert not function or f"\ndef {function}" in (ROOT / path).read_text()


BOTH = ["tests/a.py::test_a", "tests/a.py::test_b"]
LONE = [f"{start}::test_x" for start in ON_ONE_DATABASE]


def test_a_test_that_ran_on_one_database_only_is_reported() -> None:
    assert on_one_database(BOTH, BOTH) == []
    assert on_one_database(BOTH, BOTH[:1]) == BOTH[1:]
    assert on_one_database(BOTH[1:], BOTH) == BOTH[:1]
    assert on_one_database([*BOTH, *LONE], BOTH) == []


def test_a_reason_that_no_test_needs_is_reported() -> None:
    assert unused_reasons([*BOTH, *LONE[1:]], [*BOTH, LONE[0]]) == []
    assert unused_reasons([*BOTH, *LONE[1:]], BOTH) == [next(iter(ON_ONE_DATABASE))]
    assert unused_reasons([*BOTH, *LONE], [*BOTH, LONE[0]]) == [next(iter(ON_ONE_DATABASE))]
