"""Patterns of paths, and tables of them in which the closest pattern counts.

A pattern is static (`/v1/packs`), names single segments (`/v1/packs/:pack`), or has a wildcard for one or more of them
(`/v1/packs/*`, `/v1/packs/*/result`). Paths come as lists of segments, unescaped: `/v1/packs` is `["v1", "packs"]`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Generic, TypeVar

T = TypeVar("T")

Segments = Sequence[str | None]
"""The segments of a path; None is one that may be anything, as in a route."""

ANY_METHOD = ""


class PatternError(ValueError):
    """What is written is no pattern; the message says why."""


class Kind(IntEnum):
    """What a part of a pattern is, the closest first."""

    STATIC = 0
    NAMED = 1
    WILDCARD = 2
    END = 3


@dataclass(frozen=True)
class Part:
    """One part between slashes: `text` is what it must be, or its name; '' for a wildcard."""

    kind: Kind
    text: str = ""

    def fits(self, segment: str | None) -> bool:
        if self.kind is Kind.STATIC:
            return segment is None or segment == self.text
        return segment != ""


@dataclass(frozen=True)
class Pattern:
    """A path with names and wildcards."""

    path: str
    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, path: str) -> "Pattern":
        """Reads a pattern. Raises `PatternError`."""
        if not path.startswith("/"):
            raise PatternError(f"{path!r} is no path: it must start with /")
        pattern = cls(path, tuple(_part(text) for text in path[1:].split("/")))
        if len(set(pattern.names)) < len(pattern.names):
            raise PatternError(f"{path!r} has two segments of one name")
        return pattern

    @cached_property
    def names(self) -> list[str]:
        return [part.text for part in self.parts if part.kind is Kind.NAMED]

    @cached_property
    def shape(self) -> tuple[Part, ...]:
        """The same for patterns that differ in nothing but their names."""
        return tuple(Part(part.kind) if part.kind is Kind.NAMED else part for part in self.parts)

    @cached_property
    def rank(self) -> tuple[Kind, ...]:
        """Of two patterns that match one path the closer one has the smaller rank: what is static early goes first."""
        return (*(part.kind for part in self.parts), Kind.END)

    def match(self, segments: Segments) -> dict[str, str] | None:
        """The names' values if the path matches; where wildcards leave a choice, the first ones take the least."""
        start, found = 0, []
        chunks = self._chunks
        for number, chunk in enumerate(chunks):
            last = number == len(chunks) - 1
            place = _place(chunk, segments, start, anchored=number == 0, at_end=last)
            if place is None:
                return None
            found += list(zip(chunk, segments[place : place + len(chunk)], strict=True))
            start = place + len(chunk) + 1  # a wildcard stands for one segment at least
        return {part.text: segment or "" for part, segment in found if part.kind is Kind.NAMED}

    @cached_property
    def _chunks(self) -> list[tuple[Part, ...]]:
        """The parts between the wildcards."""
        chunks: list[list[Part]] = [[]]
        for part in self.parts:
            if part.kind is Kind.WILDCARD:
                chunks.append([])
            else:
                chunks[-1].append(part)
        return [tuple(chunk) for chunk in chunks]


def _part(text: str) -> Part:
    if text == "*":
        return Part(Kind.WILDCARD)
    if text.startswith(":") and len(text) > 1 and not set(":*") & set(text[1:]):
        return Part(Kind.NAMED, text[1:])
    if set(":*") & set(text):
        raise PatternError(f"{text!r} is no segment: :name and * stand for whole segments")
    return Part(Kind.STATIC, text)


def _place(chunk: tuple[Part, ...], segments: Segments, start: int, *, anchored: bool, at_end: bool) -> int | None:
    """Where from `start` on the parts fit: there alone if anchored, at the path's end if that is asked for."""
    last = len(segments) - len(chunk)
    places: Iterable[int] = range(last if at_end else start, (start if anchored else last) + 1)
    return next((place for place in places if place >= start and _fit(chunk, segments, place)), None)


def _fit(chunk: tuple[Part, ...], segments: Segments, place: int) -> bool:
    there = segments[place : place + len(chunk)]
    return len(there) == len(chunk) and all(part.fits(one) for part, one in zip(chunk, there, strict=True))


@dataclass(frozen=True)
class Row(Generic[T]):
    """What stands in a table for one pattern and one method, or for every method that has no row of its own."""

    pattern: Pattern
    method: str
    value: T


class DuplicateError(ValueError):
    """Two rows for one shape and one method: `first` and `second`."""

    def __init__(self, first: object, second: object) -> None:
        super().__init__("the same path and method stand in two rows")
        self.first, self.second = first, second


class PathTable(Generic[T]):
    """Rows by pattern and method. Raises `DuplicateError` for rows that say different things about one request."""

    def __init__(self, rows: Iterable[Row[T]]) -> None:
        shapes: dict[tuple[Part, ...], dict[str, Row[T]]] = {}
        for row in rows:
            methods = shapes.setdefault(row.pattern.shape, {})
            if row.method in methods:
                raise DuplicateError(methods[row.method].value, row.value)
            methods[row.method] = row
        self._static = {
            tuple(part.text for part in shape): methods
            for shape, methods in shapes.items()
            if all(part.kind is Kind.STATIC for part in shape)
        }
        self._others = sorted(
            (methods for shape, methods in shapes.items() if any(part.kind for part in shape)),
            key=lambda methods: next(iter(methods.values())).pattern.rank,
        )

    def __iter__(self) -> Iterator[Row[T]]:
        for methods in (*self._static.values(), *self._others):
            yield from methods.values()

    def closest(self, segments: Sequence[str]) -> Mapping[str, Row[T]]:
        """The rows of the closest pattern that the path matches, by method; empty if it matches none.

        Static segments go before named ones, those before wildcards, from left to right. The path alone decides: where
        the closest pattern does not have the method, no other one is looked at.
        """
        static = self._static.get(tuple(segments))
        if static is not None:
            return static
        matching = (m for m in self._others if next(iter(m.values())).pattern.match(segments) is not None)
        return next(matching, {})

    def find(self, method: str, segments: Sequence[str]) -> tuple[T, dict[str, str]] | None:
        """What stands for this request, and the values of the pattern's names; None if nothing does."""
        methods = self.closest(segments)
        row = methods.get(method) or methods.get(ANY_METHOD)
        return (row.value, row.pattern.match(segments) or {}) if row else None
