"""A test that passes without an assertion fails."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.server import ROOT

pytestmark = pytest.mark.acceptance

NESTED = """
import contextlib
import threading
import warnings

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from tests import assertions
from tests.jobs.processes import wait_until


@pytest.fixture
def checked():
    assert True
    yield
    assert True


def test_passes_an_assert():
    assert True


def test_passes_raises():
    with pytest.raises(ValueError):
        int("x")


def test_passes_raises_of_a_call():
    pytest.raises(ValueError, int, "x")


def test_passes_warns():
    with pytest.warns(UserWarning):
        warnings.warn("x")


def test_passes_a_helper_of_another_module():
    wait_until(lambda: True, str)


def test_passes_a_thread():
    def check():
        assert True

    thread = threading.Thread(target=check)
    thread.start()
    thread.join()


@given(st.integers())
def test_passes_hypothesis(number):
    assert number == number


@pytest.mark.django_db
def test_passes_a_count_of_queries(django_assert_num_queries):
    with django_assert_num_queries(1):
        connection.cursor().execute("SELECT 1")


@pytest.mark.django_db
def test_passes_a_bound_of_queries(django_assert_max_num_queries):
    with django_assert_max_num_queries(1):
        connection.cursor().execute("SELECT 1")


def test_passes_a_check_that_counts_itself():
    assertions.count()


@pytest.mark.asserts_nothing(reason="nothing may be raised")
def test_passes_an_exemption():
    int("1")


@pytest.mark.xfail(strict=True)
def test_xfails_nothing():
    pass


def test_skips():
    pytest.skip("not here")


def test_fails_nothing():
    pass


def test_fails_fixtures(checked):
    pass


@pytest.mark.parametrize("number", [0, 1])
def test_some_cases(number):
    if number:
        assert number


def test_fails_raises_of_another_error():
    with contextlib.suppress(KeyError), pytest.raises(ValueError):
        {}["x"]


@given(st.integers())
def test_fails_hypothesis(number):
    pass


@pytest.mark.asserts_nothing(reason="it does, though")
def test_fails_a_wrong_exemption():
    assert True


@pytest.mark.asserts_nothing
def test_fails_an_exemption_without_a_reason():
    pass


def test_errs():
    raise KeyError
"""


NOTHING = "Failed: the test passed but asserted nothing: assert its outcome, or mark it asserts_nothing with a reason"
FAILED = {
    "test_fails_nothing": NOTHING,
    "test_fails_fixtures": NOTHING,
    "test_some_cases[0]": NOTHING,
    "test_fails_raises_of_another_error": NOTHING,
    "test_fails_hypothesis": NOTHING,
    "test_fails_a_wrong_exemption": "Failed: the test asserts something: remove its marker asserts_nothing",
    "test_fails_an_exemption_without_a_reason": "Failed: write the reason: @pytest.mark.asserts_nothing(reason='…')",
    "test_errs": "KeyError",
}


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_a_test_needs_an_assertion_of_any_kind(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "test_nested.py").write_text(NESTED)
    (tmp_path / "conftest.py").write_text("from tests import assertions\n\npytest_plugins = [assertions.__name__]\n")
    (tmp_path / "settings.py").write_text("DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3'}}")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-rA",
        "-c",
        "/dev/null",
    ]
    options = (*options, "--rootdir", str(tmp_path), "--ds", "settings")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "300"}
    done = processes.run(
        [*command, *options, tmp_path / "test_nested.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    passed = set(re.findall(r"^PASSED .*::(\S+)$", done.stdout, re.MULTILINE))
    failed = dict(re.findall(r"^FAILED .*::(\S+) - (.*)$", done.stdout, re.MULTILINE))
    assert failed == FAILED, done.stdout
    names = set(re.findall(r"^def (test_passes_\w+)", NESTED, re.MULTILINE))
    assert passed == names | {"test_some_cases[1]"}
    assert re.search(r"^XFAIL .*::test_xfails_nothing", done.stdout, re.MULTILINE)
