"""Diffs of two texts."""

import pytest

from flows.definition.diff import MAX_LINES, DiffRow, diff_texts

pytestmark = pytest.mark.unit


def line_numbers(row: DiffRow) -> tuple[str, int, int]:
    return row.kind, row.left.line_number, row.right.line_number


def test_equal_texts_have_an_empty_diff() -> None:
    comparison = diff_texts("a\nb", "a\nb\n")
    assert comparison.is_equal
    assert [row.kind for row in comparison.rows] == ["skipped"]


def test_added_removed_and_changed_lines_are_side_by_side() -> None:
    comparison = diff_texts("a\nhello big world\nc\nd", "a\nhello small world\nd\ne")
    assert [line_numbers(row) for row in comparison.rows] == [
        ("same", 1, 1),
        ("changed", 2, 2),
        ("removed", 3, 0),
        ("same", 4, 3),
        ("added", 0, 4),
    ]
    changed = comparison.rows[1]
    assert [text for text, differs in changed.left.segments if differs] == ["big"]
    assert [text for text, differs in changed.right.segments if differs] == ["small"]
    assert (comparison.added_count, comparison.removed_count) == (2, 2)


def test_lines_with_little_in_common_are_marked_as_a_whole() -> None:
    (row,) = diff_texts("abc def", "1,2,3,4,5").rows
    assert row.left.segments == (("abc def", True),)


def test_no_text_gets_lost() -> None:
    left = "\n".join(f"line {n}" for n in range(40))
    right = left.replace("line 20", "another 20")
    comparison = diff_texts(left, right)
    assert sum(row.skipped_count or 1 for row in comparison.rows) == 40
    changed = next(row for row in comparison.rows if row.kind == "changed")
    assert "".join(text for text, _ in changed.right.segments) == "another 20"


def test_texts_that_are_too_long_are_not_compared() -> None:
    long = "x\n" * (MAX_LINES + 1)
    assert diff_texts(long, "x").is_too_long
    assert diff_texts(long, long).is_equal


def test_thousands_of_equal_lines_are_compared_in_time() -> None:
    assert not diff_texts("\n" * MAX_LINES, "a\n" + "\n" * (MAX_LINES - 1)).is_too_long


def test_thousands_of_changed_lines_are_compared_in_time() -> None:
    left = "\n".join(f"{n} " + "a, " * 70 for n in range(MAX_LINES))
    right = "\n".join(f"{n} " + "a, b, " * 35 for n in range(MAX_LINES))
    assert diff_texts(left, right).added_count == MAX_LINES
