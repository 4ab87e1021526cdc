"""Two texts side by side, with what changed marked, also within a line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

CONTEXT = 4
MOST_LINES = 5000
MOST_WORDS = 150
# Of so many changed lines it is said what changed within them.
MOST_PAIRS = 500
# From here on lines that stand there very often are no anchors: else like lines would take quadratic time.
MANY_LINES = 1000
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")

Piece = tuple[str, bool]
"""Some text of a line, and whether it differs from the other side."""


@dataclass(frozen=True)
class Side:
    """A line of one text; `number` counts from 1, and is 0 where the side has no such line."""

    number: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Row:
    """A line of each side. `kind` is `same`, `changed`, `added`, `removed`, or `skipped`: then `count` like ones."""

    kind: str
    left: Side
    right: Side
    count: int = 0


NONE = Side(0, ())


@dataclass(frozen=True)
class Comparison:
    """The rows of two texts, equal ones far from any change left out, and how many lines each side has of its own."""

    rows: list[Row]
    added: int
    removed: int
    too_long: bool = False

    @property
    def equal(self) -> bool:
        return not self.added and not self.removed and not self.too_long


def compare(left: str, right: str) -> Comparison:
    """What leads from the left text to the right one."""
    before, after = left.splitlines(), right.splitlines()
    if max(len(before), len(after)) > MOST_LINES:
        return Comparison([], 0, 0, too_long=left != right)
    rows = list(_rows(before, after))
    added = sum(1 for row in rows if row.kind in ("added", "changed"))
    removed = sum(1 for row in rows if row.kind in ("removed", "changed"))
    return Comparison(list(_folded(rows)), added, removed)


def _rows(before: list[str], after: list[str]) -> Iterator[Row]:
    many, looked = max(len(before), len(after)) > MANY_LINES, 0
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=many).get_opcodes():
        pairs = min(i2 - i1, j2 - j1)
        for place in range(pairs):
            looked += kind != "equal"
            left, right = (i1 + place + 1, before[i1 + place]), (j1 + place + 1, after[j1 + place])
            yield _pair(kind, left, right, closely=looked <= MOST_PAIRS)
        for place in range(i1 + pairs, i2):
            yield Row("removed", Side(place + 1, ((before[place], False),)), NONE)
        for place in range(j1 + pairs, j2):
            yield Row("added", NONE, Side(place + 1, ((after[place], False),)))


def _pair(kind: str, left: tuple[int, str], right: tuple[int, str], *, closely: bool) -> Row:
    if kind == "equal":
        return Row("same", Side(left[0], ((left[1], False),)), Side(right[0], ((right[1], False),)))
    ours, theirs = _within(left[1], right[1]) if closely else (((left[1], True),), ((right[1], True),))
    return Row("changed", Side(left[0], ours), Side(right[0], theirs))


def _within(left: str, right: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both lines in pieces; where they have little in common, whole."""
    ours, theirs = _WORDS.findall(left), _WORDS.findall(right)
    if max(len(ours), len(theirs)) > MOST_WORDS:
        return ((left, True),), ((right, True),)
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    if matcher.ratio() < 0.3:
        return ((left, True),), ((right, True),)
    codes = matcher.get_opcodes()
    one = [("".join(ours[i1:i2]), kind != "equal") for kind, i1, i2, _, _ in codes if i2 > i1]
    other = [("".join(theirs[j1:j2]), kind != "equal") for kind, _, _, j1, j2 in codes if j2 > j1]
    return tuple(one), tuple(other)


def _folded(rows: list[Row]) -> Iterator[Row]:
    """The rows, with long runs of equal ones as one."""
    near = {
        other
        for place, row in enumerate(rows)
        if row.kind != "same"
        for other in range(place - CONTEXT, place + CONTEXT + 1)
    }
    skipped = 0
    for place, row in enumerate(rows):
        if row.kind == "same" and place not in near:
            skipped += 1
            continue
        if skipped:
            yield Row("skipped", NONE, NONE, skipped)
            skipped = 0
        yield row
    if skipped:
        yield Row("skipped", NONE, NONE, skipped)
