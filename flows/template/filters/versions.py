"""The filter `version`, which compares versions as Semantic Versioning does: https://semver.org/#spec-item-11"""

import operator
import re
from collections.abc import Callable
from itertools import zip_longest
from typing import NamedTuple

from flows.template.errors import OperationError
from flows.template.filters.base import FilterFunc, make_bound_filter
from flows.template.runtime.numbers import quote_text
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.values import to_text

MAX_VERSION_LENGTH = 200
_VERSION_PATTERN = re.compile(
    r"[vV]?(?P<release>[0-9]+(?:\.[0-9]+)*)"
    r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)|\.?(?P<short_pre>(?:a|alpha|b|beta|c|rc|pre|dev)\.?[0-9]*))?"
    r"(?:\+[0-9A-Za-z.-]+)?"
)
_CONDITION_PATTERN = re.compile(r"(?P<operator>[<>=!]=?|)\s*(?P<version>.*)", re.DOTALL)
_PART_PATTERN = re.compile(r"[0-9]+|[^0-9.]+")
_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "": operator.eq,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SYNTAX = "version needs a condition such as '>=1.9' or '>=1.9, <2'"


class Version(NamedTuple):
    """A version. release: its numbers. pre_release: the parts after a dash; empty for a release."""

    release: tuple[int, ...]
    pre_release: tuple[int | str, ...]


class Condition(NamedTuple):
    """A comparison with a version."""

    compare: Callable[[int, int], bool]
    version: Version


def parse_version(text: str) -> Version:
    """Parse `1.10.2`, `v2.0`, `2.0.0-rc.1`, `3.0b2` or `1.0+build`. Raises OperationError."""
    text = text.strip()
    match = _VERSION_PATTERN.fullmatch(text) if len(text) <= MAX_VERSION_LENGTH else None
    if match is None:
        raise OperationError(f"{quote_text(text)} is not a version such as 1.10.2 or 2.0.0-rc.1")
    pre_release = _PART_PATTERN.findall((match["pre"] or match["short_pre"] or "").lower())
    return Version(
        tuple(int(part) for part in match["release"].split(".")),
        tuple(int(part) if part.isdigit() else part for part in pre_release),
    )


def compare_versions(left: Version, right: Version) -> int:
    """Return a number below, equal to or above 0. Missing numbers are 0; a pre-release comes before its release."""
    for left_number, right_number in zip_longest(left.release, right.release, fillvalue=0):
        if left_number != right_number:
            return -1 if left_number < right_number else 1
    if not left.pre_release or not right.pre_release:
        return bool(right.pre_release) - bool(left.pre_release)
    for left_part, right_part in zip(left.pre_release, right.pre_release, strict=False):
        if left_part != right_part:
            return -1 if _make_part_key(left_part) < _make_part_key(right_part) else 1
    return len(left.pre_release) - len(right.pre_release)


def _make_part_key(part: int | str) -> tuple[bool, int, str]:
    """Return a key that sorts numbers before text."""
    return (False, part, "") if isinstance(part, int) else (True, 0, part)


def _parse_conditions(argument: object) -> list[Condition]:
    conditions = []
    for text in to_text(argument)[: MAX_VERSION_LENGTH * 4].split(","):
        match = _CONDITION_PATTERN.fullmatch(text.strip())
        if match is None or match["operator"] not in _OPERATORS or not match["version"]:
            raise OperationError(f"{_SYNTAX}, not {quote_text(to_text(argument))}")
        conditions.append(Condition(_OPERATORS[match["operator"]], parse_version(match["version"])))
    return conditions


def _bind_version(argument: object) -> FilterFunc:
    conditions = _parse_conditions(argument)

    def apply(value: object, _: object, render_context: RenderContext) -> object:
        version = parse_version(to_text(value))
        return all(compare(compare_versions(version, other), 0) for compare, other in conditions)

    return apply


VERSION_FILTERS = (make_bound_filter("version", _bind_version, cost=100),)
