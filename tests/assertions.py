"""A pytest plugin that counts assertions as tests run: a test that passes without an assertion fails.

It counts `assert` in every module of the tests, `pytest.raises`, `pytest.warns`, the query counts of pytest-django,
Playwright's `expect`, and calls of `count`. An assertion counts while the test function runs, in any of its threads;
those of fixtures and of other processes do not. A test that checks only that nothing is raised says why:

    @pytest.mark.asserts_nothing(reason="any text may be rejected, but none may crash the parser")

`pytest --collect-only -m asserts_nothing` lists these tests. One that asserts something fails, too.

PYTEST_DONT_REWRITE: conftest.py imports this module before all others of the tests, so that theirs are rewritten.
"""

import ast
import builtins
import functools
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from _pytest.assertion import rewrite

MARKER = "asserts_nothing"
EXPECTATIONS = ("PageAssertions", "LocatorAssertions", "APIResponseAssertions")

# The built-in name of `count` in every module; no module can define it, because it is not an identifier.
COUNT_NAME = "@count_assertion"

passed = 0
"""Assertions that have passed in this process. Threads may lose some; a test only compares with its start."""


def count() -> None:
    """Count an assertion that has passed."""
    global passed
    passed += 1


class CountAssertions(ast.NodeTransformer):
    """Put a call of `count` behind each `assert`."""

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        call = ast.Expr(ast.Call(ast.Name(COUNT_NAME, ast.Load()), [], []))
        return [node, ast.fix_missing_locations(ast.copy_location(call, node))]


def count_statements() -> None:
    """Count each `assert` that passes in the modules that pytest rewrites, except those of plugins.

    pytest's own hook for this, `pytest_assertion_pass`, would triple the time of a run, because pytest describes every
    value for it. Modules that pytest has compiled without these calls are in its cache under its own names, so that the
    cached files need another name.
    """
    rewrite_asserts = rewrite.rewrite_asserts

    @functools.wraps(rewrite_asserts)
    def rewrite_and_count(
        mod: ast.Module, source: bytes, module_path: str | None = None, config: pytest.Config | None = None
    ) -> None:
        if module_path and not Path(module_path).is_relative_to(sys.prefix):
            CountAssertions().visit(mod)
        rewrite_asserts(mod, source, module_path, config)

    setattr(builtins, COUNT_NAME, count)
    rewrite.rewrite_asserts = rewrite_and_count
    rewrite.PYC_TAIL = f"-counted{rewrite.PYC_TAIL}"
    pytest.register_assert_rewrite("tests")


def counting(check: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls `check` and counts one assertion if it raises nothing."""

    @functools.wraps(check)
    def checked(*arguments: Any, **options: Any) -> Any:
        result = check(*arguments, **options)
        count()
        return result

    return checked


def count_expectations() -> None:
    """Count each expectation of Playwright that is met, if a module of the tests has imported Playwright."""
    module = sys.modules.get("playwright.sync_api")
    for kind in (getattr(module, name) for name in EXPECTATIONS if module):
        for name, method in [*vars(kind).items()]:
            if name.startswith(("to_", "not_to_")) and not hasattr(method, "__wrapped__"):
                setattr(kind, name, counting(method))


def count_blocks(kind: Any) -> None:
    """Count each block of this kind of context manager, such as that of `pytest.raises`, which ends as it has to."""
    leave = kind.__exit__

    @functools.wraps(leave)
    def leave_and_count(manager: object, error: type[BaseException] | None, *details: Any) -> Any:
        is_expected = leave(manager, error, *details)
        if error is None or is_expected:
            count()
        return is_expected

    kind.__exit__ = leave_and_count


count_statements()
count_blocks(type(pytest.raises(AssertionError)))
count_blocks(type(pytest.warns()))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARKER}(reason): passes without an assertion, for this reason")


def pytest_collection_finish() -> None:
    count_expectations()


def exemption(item: pytest.Item) -> str | None:
    """Return the reason why this test asserts nothing, or None."""
    marker = item.get_closest_marker(MARKER)
    if marker is None:
        return None
    reason = marker.kwargs.get("reason")
    if not reason or marker.args:
        pytest.fail(f"write the reason: @pytest.mark.{MARKER}(reason='…')", pytrace=False)
    return str(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test that has passed without an assertion."""
    exempt = exemption(item)
    before = passed
    result = yield
    if passed == before and exempt is None:
        pytest.fail(
            f"the test passed but asserted nothing: assert its outcome, or mark it {MARKER} with a reason",
            pytrace=False,
        )
    if passed > before and exempt is not None:
        pytest.fail(f"the test asserts something: remove its marker {MARKER}", pytrace=False)
    return result


def counting_queries(fixture: Callable[..., AbstractContextManager[Any]]) -> Callable[..., AbstractContextManager[Any]]:
    """Return a fixture's function whose block counts one assertion when the number of queries is right."""

    @contextmanager
    def counted(*arguments: Any, **options: Any) -> Iterator[Any]:
        with fixture(*arguments, **options) as queries:
            yield queries
        count()

    return counted


@pytest.fixture
def django_assert_num_queries(django_assert_num_queries: Any) -> Any:
    return counting_queries(django_assert_num_queries)


@pytest.fixture
def django_assert_max_num_queries(django_assert_max_num_queries: Any) -> Any:
    return counting_queries(django_assert_max_num_queries)
