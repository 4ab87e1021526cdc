"""A diff of two texts side by side, with changes marked within lines."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

CONTEXT_LINES = 4
MAX_LINES = 5000
# Comparison of moved lines takes quadratic time: longer ranges of changed lines count as replaced.
MAX_COMPARED_LINES = 1500
MAX_WORDS_PER_LINE = 150
# Only so many changed lines are compared word by word.
MAX_INLINE_DIFFS = 500
# From this size on, very frequent lines do not anchor the diff: many equal lines would take quadratic time.
AUTOJUNK_THRESHOLD = 1000
_WORD_PATTERN = re.compile(r"\w+|\s+|[^\w\s]")

DiffSegment = tuple[str, bool]
"""A part of a line; True if it differs from the other side."""


@dataclass(frozen=True)
class DiffSide:
    """A line of one text; `number` counts from 1, and is 0 if the side has no such line."""

    line_number: int
    segments: tuple[DiffSegment, ...]


@dataclass(frozen=True)
class DiffRow:
    """A line of each side. `kind` is `same`, `changed`, `added`, `removed`, or `skipped` for `skipped_count` equal
    lines.
    """

    kind: str
    left: DiffSide
    right: DiffSide
    skipped_count: int = 0


EMPTY_SIDE = DiffSide(0, ())


@dataclass(frozen=True)
class TextDiff:
    """The rows of two texts, without equal lines far from any change, and the number of lines that only one side
    has.
    """

    rows: list[DiffRow]
    added_count: int
    removed_count: int
    is_too_long: bool = False

    @property
    def is_equal(self) -> bool:
        return not self.added_count and not self.removed_count and not self.is_too_long


def diff_texts(left: str, right: str) -> TextDiff:
    """Compare two texts."""
    left_lines, right_lines = left.splitlines(), right.splitlines()
    if max(len(left_lines), len(right_lines)) > MAX_LINES:
        return TextDiff([], 0, 0, is_too_long=left != right)
    rows = list(_iter_rows(left_lines, right_lines))
    added = sum(1 for row in rows if row.kind in ("added", "changed"))
    removed = sum(1 for row in rows if row.kind in ("removed", "changed"))
    return TextDiff(list(_collapse_unchanged(rows)), added, removed)


def _iter_rows(left_lines: list[str], right_lines: list[str]) -> Iterator[DiffRow]:
    changed_pairs = 0
    for operation, left_start, left_end, right_start, right_end in _compare_lines(left_lines, right_lines):
        pair_count = min(left_end - left_start, right_end - right_start)
        for index in range(pair_count):
            changed_pairs += operation != "equal"
            left, right = (
                (left_start + index + 1, left_lines[left_start + index]),
                (right_start + index + 1, right_lines[right_start + index]),
            )
            yield _diff_row(operation, left, right, inline=changed_pairs <= MAX_INLINE_DIFFS)
        for index in range(left_start + pair_count, left_end):
            yield DiffRow("removed", DiffSide(index + 1, ((left_lines[index], False),)), EMPTY_SIDE)
        for index in range(right_start + pair_count, right_end):
            yield DiffRow("added", EMPTY_SIDE, DiffSide(index + 1, ((right_lines[index], False),)))


def _compare_lines(left_lines: list[str], right_lines: list[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield the operations that make the right lines of the left ones, as `SequenceMatcher.get_opcodes`."""
    start, left_end, right_end = find_changed_range(left_lines, right_lines)
    if start:
        yield "equal", 0, start, 0, start
    left, right = left_lines[start:left_end], right_lines[start:right_end]
    line_count = max(len(left), len(right))
    if line_count > MAX_COMPARED_LINES:
        yield "replace", start, left_end, start, right_end
    elif line_count:
        matcher = SequenceMatcher(None, left, right, autojunk=line_count > AUTOJUNK_THRESHOLD)
        for operation, left_from, left_to, right_from, right_to in matcher.get_opcodes():
            yield operation, start + left_from, start + left_to, start + right_from, start + right_to
    if left_end < len(left_lines):
        yield "equal", left_end, len(left_lines), right_end, len(right_lines)


def find_changed_range(left_lines: Sequence[str], right_lines: Sequence[str]) -> tuple[int, int, int]:
    """Return the number of equal lines at the start, and on each side the index of those at the end."""
    shortest = min(len(left_lines), len(right_lines))
    start = next((index for index in range(shortest) if left_lines[index] != right_lines[index]), shortest)
    left_end, right_end = len(left_lines), len(right_lines)
    while min(left_end, right_end) > start and left_lines[left_end - 1] == right_lines[right_end - 1]:
        left_end, right_end = left_end - 1, right_end - 1
    return start, left_end, right_end


def _diff_row(operation: str, left: tuple[int, str], right: tuple[int, str], *, inline: bool) -> DiffRow:
    if operation == "equal":
        return DiffRow("same", DiffSide(left[0], ((left[1], False),)), DiffSide(right[0], ((right[1], False),)))
    left_segments, right_segments = (
        _diff_words(left[1], right[1]) if inline else (((left[1], True),), ((right[1], True),))
    )
    return DiffRow("changed", DiffSide(left[0], left_segments), DiffSide(right[0], right_segments))


def _diff_words(left: str, right: str) -> tuple[tuple[DiffSegment, ...], tuple[DiffSegment, ...]]:
    """Split both lines into parts; a pair with little in common is not split."""
    left_words, right_words = _WORD_PATTERN.findall(left), _WORD_PATTERN.findall(right)
    if max(len(left_words), len(right_words)) > MAX_WORDS_PER_LINE:
        return ((left, True),), ((right, True),)
    matcher = SequenceMatcher(None, left_words, right_words, autojunk=False)
    if matcher.ratio() < 0.3:
        return ((left, True),), ((right, True),)
    opcodes = matcher.get_opcodes()
    left_segments = [
        ("".join(left_words[left_start:left_end]), operation != "equal")
        for operation, left_start, left_end, _, _ in opcodes
        if left_end > left_start
    ]
    right_segments = [
        ("".join(right_words[right_start:right_end]), operation != "equal")
        for operation, _, _, right_start, right_end in opcodes
        if right_end > right_start
    ]
    return tuple(left_segments), tuple(right_segments)


def _collapse_unchanged(rows: list[DiffRow]) -> Iterator[DiffRow]:
    """Return the rows, with each long run of equal rows as one row."""
    context_indexes = {
        neighbor
        for index, row in enumerate(rows)
        if row.kind != "same"
        for neighbor in range(index - CONTEXT_LINES, index + CONTEXT_LINES + 1)
    }
    skipped_count = 0
    for index, row in enumerate(rows):
        if row.kind == "same" and index not in context_indexes:
            skipped_count += 1
            continue
        if skipped_count:
            yield DiffRow("skipped", EMPTY_SIDE, EMPTY_SIDE, skipped_count)
            skipped_count = 0
        yield row
    if skipped_count:
        yield DiffRow("skipped", EMPTY_SIDE, EMPTY_SIDE, skipped_count)
