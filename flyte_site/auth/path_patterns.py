"""Patterns of paths, and tables of them in which the most specific match counts.

A pattern is static (`/v1/packs`), names single segments (`/v1/packs/:pack`), or has a wildcard for one or more of them
(`/v1/packs/*`, `/v1/packs/*/result`). Paths come as lists of segments, unescaped: `/v1/packs` is `["v1", "packs"]`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Generic, TypeVar

T = TypeVar("T")

PathSegments = Sequence[str | None]
"""The segments of a path; None matches any name, as in a route."""

ANY_METHOD = ""


class PathPatternError(ValueError):
    """An invalid pattern; the message says why."""


class PartKind(IntEnum):
    """The kind of a pattern's part, most specific first."""

    STATIC = 0
    NAMED = 1
    WILDCARD = 2
    END = 3


@dataclass(frozen=True)
class PatternPart:
    """One part between slashes. `text` is the static text or the name; '' for a wildcard."""

    kind: PartKind
    text: str = ""

    def matches(self, segment: str | None) -> bool:
        if self.kind is PartKind.STATIC:
            return segment is None or segment == self.text
        return segment != ""


@dataclass(frozen=True)
class PathPattern:
    """A path with named segments and wildcards."""

    path: str
    parts: tuple[PatternPart, ...]

    @classmethod
    def parse(cls, path: str) -> "PathPattern":
        """Parse a pattern. Raises `PathPatternError`."""
        if not path.startswith("/"):
            raise PathPatternError(f"invalid path {path!r}: it must start with /")
        pattern = cls(path, tuple(_parse_part(text) for text in path[1:].split("/")))
        if len(set(pattern.names)) < len(pattern.names):
            raise PathPatternError(f"duplicate segment name in {path!r}")
        return pattern

    @cached_property
    def names(self) -> list[str]:
        return [part.text for part in self.parts if part.kind is PartKind.NAMED]

    @cached_property
    def shape(self) -> tuple[PatternPart, ...]:
        """The pattern without its names: equal for patterns that differ only in them."""
        return tuple(PatternPart(part.kind) if part.kind is PartKind.NAMED else part for part in self.parts)

    @cached_property
    def rank(self) -> tuple[PartKind, ...]:
        """A sort key: of two patterns that match a path, the more specific has the smaller rank."""
        return (*(part.kind for part in self.parts), PartKind.END)

    def match(self, segments: PathSegments) -> dict[str, str] | None:
        """Return the values of the names, or None if the path does not match; early wildcards match the least."""
        start, matched = 0, []
        chunks = self._chunks
        for index, chunk in enumerate(chunks):
            is_last = index == len(chunks) - 1
            position = _find_chunk(chunk, segments, start, anchored=index == 0, at_end=is_last)
            if position is None:
                return None
            matched += list(zip(chunk, segments[position : position + len(chunk)], strict=True))
            start = position + len(chunk) + 1  # a wildcard matches at least one segment
        return {part.text: segment or "" for part, segment in matched if part.kind is PartKind.NAMED}

    @cached_property
    def _chunks(self) -> list[tuple[PatternPart, ...]]:
        """The parts between the wildcards."""
        chunks: list[list[PatternPart]] = [[]]
        for part in self.parts:
            if part.kind is PartKind.WILDCARD:
                chunks.append([])
            else:
                chunks[-1].append(part)
        return [tuple(chunk) for chunk in chunks]


def _parse_part(text: str) -> PatternPart:
    if text == "*":
        return PatternPart(PartKind.WILDCARD)
    if text.startswith(":") and len(text) > 1 and not set(":*") & set(text[1:]):
        return PatternPart(PartKind.NAMED, text[1:])
    if set(":*") & set(text):
        raise PathPatternError(f"invalid segment {text!r}: :name and * must be a whole segment")
    return PatternPart(PartKind.STATIC, text)


def _find_chunk(
    chunk: tuple[PatternPart, ...], segments: PathSegments, start: int, *, anchored: bool, at_end: bool
) -> int | None:
    """Return the position from `start` on where the parts match: only `start` if anchored, only the end if `at_end`."""
    last_start = len(segments) - len(chunk)
    positions: Iterable[int] = range(last_start if at_end else start, (start if anchored else last_start) + 1)
    return next(
        (position for position in positions if position >= start and _chunk_matches_at(chunk, segments, position)), None
    )


def _chunk_matches_at(chunk: tuple[PatternPart, ...], segments: PathSegments, position: int) -> bool:
    candidates = segments[position : position + len(chunk)]
    return len(candidates) == len(chunk) and all(
        part.matches(segment) for part, segment in zip(chunk, candidates, strict=True)
    )


@dataclass(frozen=True)
class PathTableRow(Generic[T]):
    """A table's value for one pattern and one method, or for all methods without a row of their pattern."""

    pattern: PathPattern
    method: str
    value: T


class DuplicateRowError(ValueError):
    """Two rows with the same shape and method: `first` and `second`."""

    def __init__(self, first: object, second: object) -> None:
        super().__init__("duplicate path and method")
        self.first, self.second = first, second


class PathTable(Generic[T]):
    """Rows by pattern and method. Raises `DuplicateRowError` for rows with the same shape and method."""

    def __init__(self, rows: Iterable[PathTableRow[T]]) -> None:
        shapes: dict[tuple[PatternPart, ...], dict[str, PathTableRow[T]]] = {}
        for row in rows:
            methods = shapes.setdefault(row.pattern.shape, {})
            if row.method in methods:
                raise DuplicateRowError(methods[row.method].value, row.value)
            methods[row.method] = row
        self._static = {
            tuple(part.text for part in shape): methods
            for shape, methods in shapes.items()
            if all(part.kind is PartKind.STATIC for part in shape)
        }
        self._dynamic = sorted(
            (methods for shape, methods in shapes.items() if any(part.kind for part in shape)),
            key=lambda methods: next(iter(methods.values())).pattern.rank,
        )

    def __iter__(self) -> Iterator[PathTableRow[T]]:
        for methods in (*self._static.values(), *self._dynamic):
            yield from methods.values()

    def find_most_specific(self, segments: Sequence[str]) -> Mapping[str, PathTableRow[T]]:
        """Return the rows of the most specific pattern that matches the path, by method; empty if none does.

        Segments are compared from left to right: static before named, named before wildcard. Only the path decides: if
        the most specific pattern does not have the method, no other pattern is tried.
        """
        static = self._static.get(tuple(segments))
        if static is not None:
            return static
        matching = (
            methods for methods in self._dynamic if next(iter(methods.values())).pattern.match(segments) is not None
        )
        return next(matching, {})

    def find(self, method: str, segments: Sequence[str]) -> tuple[T, dict[str, str]] | None:
        """Return the value for this request and the values of the pattern's names, or None."""
        methods = self.find_most_specific(segments)
        row = methods.get(method) or methods.get(ANY_METHOD)
        return (row.value, row.pattern.match(segments) or {}) if row else None
