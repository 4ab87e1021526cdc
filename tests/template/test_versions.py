"""The filter `version`."""

from itertools import pairwise

import pytest

from flows.template.filters.versions import compare_versions, parse_version
from tests.template.rendering import ERROR, render

pytestmark = pytest.mark.unit

# Each is lower than the next one; the first eight are the example of Semantic Versioning.
ASCENDING = [
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1rc2",
    "1.0.1rc10",
    "v1.0.1",
    "1.9.3",
    "1.10",
    "1.10.0.1",
    "2.0b1",
    "2+build.5",
    "10",
    "2026.11.21",
]


def test_versions_are_ordered() -> None:
    parsed = [parse_version(text) for text in ASCENDING]

    assert [compare_versions(left, right) < 0 for left, right in pairwise(parsed)] == [True] * (len(parsed) - 1)
    assert [compare_versions(right, left) > 0 for left, right in pairwise(parsed)] == [True] * (len(parsed) - 1)


@pytest.mark.parametrize(
    ("left", "right"),
    [("1.2", "1.2.0.0"), ("v1.2", "1.2"), ("1.2+a", "1.2+b"), ("01.2", "1.02"), ("1.0-RC.1", "1.0-rc1"), (" 1 ", "1")],
)
def test_versions_are_equal(left: str, right: str) -> None:
    assert compare_versions(parse_version(left), parse_version(right)) == 0


@pytest.mark.parametrize(
    ("value", "condition", "output"),
    [
        ("1.10.0", ">1.9.3", "True"),
        ("1.10.0", ">= 1.10", "True"),
        ("1.10.0", "<=1.9", "False"),
        ("1.10.0", "1.10", "True"),
        ("1.10.0", "=1.10", "True"),
        ("1.10.0", "==1.10.1", "False"),
        ("1.10.0", "!=1.10.1", "True"),
        ("1.10.0", ">=1.9, <2", "True"),
        ("2.0.0-rc.1", ">=1.9,<2", "True"),
        ("2.0.0", ">=1.9,<2", "False"),
        ("1.10.0\n", "<1.11", "True"),
        (2, ">=1.9", "True"),
        (1.5, "<1.10", "True"),
    ],
)
def test_a_version_is_compared(value: object, condition: str, output: str) -> None:
    assert render(f"{{{{ Event.Payload.x|version:'{condition}' }}}}", x=value) == output
    assert render("{{ Event.Payload.x|version:Event.Payload.condition }}", x=value, condition=condition) == output


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ 'latest'|version:'>1' }}", "'latest' is not a version such as 1.10.2 or 2.0.0-rc.1"),
        ("{{ none|version:'>1' }}", "'' is not a version"),
        ("{{ '1.2.'|version:'>1' }}", "'1.2.' is not a version"),
        ("{{ '1.2ubuntu1'|version:'>1' }}", "'1.2ubuntu1' is not a version"),
        ("{{ '1'|version:'>latest' }}", "'latest' is not a version"),
        ("{{ '1'|version:'~1.2' }}", "'~1.2' is not a version"),
        ("{{ '1'|version:'=>1' }}", "'>1' is not a version"),
        ("{{ '1'|version:'>' }}", "version needs a condition such as '>=1.9' or '>=1.9, <2', not '>'"),
        ("{{ '1'|version:'>1,' }}", "version needs a condition such as"),
        ("{{ '1'|version }}", "version needs a condition such as"),
    ],
)
def test_what_is_no_version_is_an_error(source: str, message: str) -> None:
    assert render(source).startswith(ERROR + message)


def test_an_extreme_version_is_refused_quickly() -> None:
    assert render("{{ Event.Payload.x|version:'>1' }}", x="1." * 100_000 + "1").startswith(ERROR)
    assert render("{{ Event.Payload.x|version:'>1' }}", x="9" * 200) == "True"
