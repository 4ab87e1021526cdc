"""Path patterns: matching, and the choice of the closest of several."""

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
def test_a_pattern_matches_as_in_the_manual(pattern: str, path: str, names: dict[str, str] | None) -> None:
    assert PathPattern.parse(pattern).match(segments(path)) == names


@pytest.mark.parametrize("path", ["", "packs", "*", "/a*", "/*a", "/a:b", "/:", "/::a", "/:a*", "/:a/:a"])
def test_an_invalid_pattern_is_refused(path: str) -> None:
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
def test_the_closest_pattern_is_used_regardless_of_the_order(path: str, closest: str) -> None:
    for order in (ALL, ALL[::-1]):
        match = table(*order).find("GET", segments(path))
        assert match is not None
        assert match[0] == closest


def test_the_path_is_compared_before_the_method() -> None:
    rows = [PathTableRow(PathPattern.parse("/a/:x"), "GET", "get"), PathTableRow(PathPattern.parse("/a/*"), "", "all")]
    assert PathTable(rows).find("GET", ["a", "b"]) == ("get", {"x": "b"})
    assert PathTable(rows).find("POST", ["a", "b"]) is None
    assert PathTable(rows).find("POST", ["a", "b", "c"]) == ("all", {})


def test_a_row_for_a_method_has_priority_over_a_row_for_all_methods() -> None:
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
def test_a_pattern_can_be_compared_with_a_route(pattern: str, expected: bool) -> None:
    assert (PathPattern.parse(pattern).match(["v1", "packs", None]) is not None) is expected


def plain_match(parts: Sequence[str], path: Sequence[str]) -> bool:
    """Match a path by trying every assignment of segments to wildcards, as a reference."""
    if not parts:
        return not path
    if parts[0] == "*":
        return any(plain_match(parts[1:], path[taken:]) for taken in range(1, len(path) + 1))
    if not path or (path[0] != parts[0] and not (parts[0].startswith(":") and path[0])):
        return False
    return plain_match(parts[1:], path[1:])


def plain_closest(patterns: Sequence[str], path: Sequence[str]) -> tuple[int, ...] | None:
    """Return the rank of the closest pattern (static < named < wildcard, from left to right), as a reference."""
    kinds = {":": 1, "*": 2}
    matching = [pattern[1:].split("/") for pattern in patterns if plain_match(pattern[1:].split("/"), path)]
    return min(((*(kinds.get(part[:1], 0) for part in parts), 3) for parts in matching), default=None)


PARTS = st.sampled_from(["a", "b", ":", "*"])
PATTERNS = st.lists(st.lists(PARTS, min_size=1, max_size=5), min_size=1, max_size=6)
PATHS = st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=7)


def named(parts: Sequence[str]) -> str:
    return "/" + "/".join(f":n{number}" if part == ":" else part for number, part in enumerate(parts))


@given(PATTERNS, PATHS)
def test_the_matcher_agrees_with_a_plain_reference(patterns: list[list[str]], path: list[str]) -> None:
    paths = sorted({named(parts) for parts in patterns})
    match = table(*paths).find("GET", path)
    rank = tuple(PathPattern.parse(match[0]).rank) if match else None
    assert rank == plain_closest(paths, path)
    if match:
        assert plain_match(match[0][1:].split("/"), path)
        assert set(match[1]) == set(PathPattern.parse(match[0]).names)


def test_a_path_with_many_segments_is_matched_quickly() -> None:
    match = PathPattern.parse("/*/a/*/a/*/a/*/a/*/b").match(["a"] * 4000)
    assert match is None
