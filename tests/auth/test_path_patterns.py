"""Patterns of paths: what they match, and which of several is the closest."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_site.auth.path_patterns import DuplicateRowError, PathPattern, PathPatternError, PathTable, PathTableRow

pytestmark = pytest.mark.unit


def segments(path: str) -> list[str]:
    return path[1:].split("/")


@pytest.mark.parametrize(
    ("pattern", "path", "names"),
    [
        ("/", "/", {}),
        ("/packs", "/packs", {}),
        ("/packs", "/packs/", None),
        ("/packs", "/packs/foo", None),
        ("/packs", "/Packs", None),
        ("/packs/*", "/packs/foo", {}),
        ("/packs/*", "/packs/foo/bar", {}),
        ("/packs/*", "/packs", None),
        ("/packs/*", "/packs/", {}),
        ("/packs/*/id", "/packs/foo/bar/id", {}),
        ("/packs/*/id", "/packs/foo/id", {}),
        ("/packs/*/id", "/packs/id", None),
        ("/packs/*/id", "/packs/id/id", {}),
        ("/packs/*/id", "/packs/foo/id/more", None),
        ("/*", "/", {}),
        ("/*", "/a/b/c", {}),
        ("/packs/:pack", "/packs/foo-pack", {"pack": "foo-pack"}),
        ("/packs/:pack", "/packs/", None),
        ("/packs/:pack", "/packs/foo/bar", None),
        ("/:a/x/:b", "/1/x/2", {"a": "1", "b": "2"}),
        ("/:a/*/:b", "/1/2/3/4", {"a": "1", "b": "4"}),
        ("/*/:a/x/*", "/1/2/x/x/x/3", {"a": "2"}),
        ("/*/*", "/1", None),
        ("/*/*", "/1/2", {}),
    ],
)
def test_a_pattern_matches_what_the_manual_says(pattern: str, path: str, names: dict[str, str] | None) -> None:
    assert PathPattern.parse(pattern).match(segments(path)) == names


@pytest.mark.parametrize("path", ["", "packs", "*", "/a*", "/*a", "/a:b", "/:", "/::a", "/:a*", "/:a/:a"])
def test_what_is_no_pattern_is_refused(path: str) -> None:
    with pytest.raises(PathPatternError):
        PathPattern.parse(path)


def table(*paths: str) -> PathTable[str]:
    return PathTable(PathTableRow(PathPattern.parse(path), "", path) for path in paths)


ALL = ("/*", "/v1/*", "/v1/:a", "/v1/packs", "/v1/packs/*", "/v1/packs/:p/events", "/v1/packs/*/x", "/v1/packs/own/x")


@pytest.mark.parametrize(
    ("path", "closest"),
    [
        ("/v1/packs", "/v1/packs"),
        ("/v1/flows", "/v1/:a"),
        ("/v1/flows/x", "/v1/*"),
        ("/v2", "/*"),
        ("/v1/packs/p", "/v1/packs/*"),
        ("/v1/packs/p/events", "/v1/packs/:p/events"),
        ("/v1/packs/own/events", "/v1/packs/:p/events"),
        ("/v1/packs/own/x", "/v1/packs/own/x"),
        ("/v1/packs/p/x", "/v1/packs/*/x"),
        ("/v1/packs/p/x/y", "/v1/packs/*"),
    ],
)
def test_the_closest_pattern_counts_whatever_the_order_in_the_file(path: str, closest: str) -> None:
    for order in (ALL, ALL[::-1]):
        found = table(*order).find("GET", segments(path))
        assert found is not None
        assert found[0] == closest


def test_the_closest_path_decides_before_the_method_does() -> None:
    rows = [PathTableRow(PathPattern.parse("/a/:x"), "GET", "get"), PathTableRow(PathPattern.parse("/a/*"), "", "all")]
    assert PathTable(rows).find("GET", ["a", "b"]) == ("get", {"x": "b"})
    assert PathTable(rows).find("POST", ["a", "b"]) is None
    assert PathTable(rows).find("POST", ["a", "b", "c"]) == ("all", {})


def test_a_method_that_is_named_goes_before_all_methods() -> None:
    rows = [
        PathTableRow(PathPattern.parse("/a/:x"), "", "all"),
        PathTableRow(PathPattern.parse("/a/:y"), "POST", "post"),
    ]
    assert PathTable(rows).find("POST", ["a", "b"]) == ("post", {"y": "b"})
    assert PathTable(rows).find("PUT", ["a", "b"]) == ("all", {"x": "b"})


def test_two_rows_for_one_request_are_refused() -> None:
    with pytest.raises(DuplicateRowError):
        PathTable(
            [PathTableRow(PathPattern.parse("/a/:x"), "GET", "1"), PathTableRow(PathPattern.parse("/a/:y"), "GET", "2")]
        )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("/packs", False), ("/v1/packs/*", True), ("/v1/:a/:b", True), ("/v1/packs/slack", True), ("/v1/*/x", True)],
)
def test_a_pattern_may_meet_a_route(pattern: str, expected: bool) -> None:
    assert (PathPattern.parse(pattern).match(["v1", "packs", None]) is not None) is expected


def plain_match(parts: Sequence[str], path: Sequence[str]) -> bool:
    """The reference: every way to share the path out among the wildcards, tried one after the other."""
    if not parts:
        return not path
    if parts[0] == "*":
        return any(plain_match(parts[1:], path[taken:]) for taken in range(1, len(path) + 1))
    if not path or (path[0] != parts[0] and not (parts[0].startswith(":") and path[0])):
        return False
    return plain_match(parts[1:], path[1:])


def plain_closest(patterns: Sequence[str], path: Sequence[str]) -> tuple[int, ...] | None:
    """The reference: all matching patterns, the smallest by static < named < wildcard from left to right."""
    kinds = {":": 1, "*": 2}
    matching = [one[1:].split("/") for one in patterns if plain_match(one[1:].split("/"), path)]
    return min(((*(kinds.get(part[:1], 0) for part in parts), 3) for parts in matching), default=None)


PARTS = st.sampled_from(["a", "b", ":", "*"])
PATTERNS = st.lists(st.lists(PARTS, min_size=1, max_size=5), min_size=1, max_size=6)
PATHS = st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=7)


def named(parts: Sequence[str]) -> str:
    return "/" + "/".join(f":n{number}" if part == ":" else part for number, part in enumerate(parts))


@given(PATTERNS, PATHS)
def test_the_matcher_agrees_with_a_plain_reference(patterns: list[list[str]], path: list[str]) -> None:
    written = sorted({named(parts) for parts in patterns})
    found = table(*written).find("GET", path)
    rank = tuple(PathPattern.parse(found[0]).rank) if found else None
    assert rank == plain_closest(written, path)
    if found:
        assert plain_match(found[0][1:].split("/"), path)
        assert set(found[1]) == set(PathPattern.parse(found[0]).names)


def test_a_path_of_many_segments_costs_little() -> None:
    found = PathPattern.parse("/*/a/*/a/*/a/*/a/*/b").match(["a"] * 4000)
    assert found is None
