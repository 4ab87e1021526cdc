"""Two texts side by side."""

import pytest

from flows.comparison import MOST_LINES, Row, compare

pytestmark = pytest.mark.unit


def shown(row: Row) -> tuple[str, int, int]:
    return row.kind, row.left.number, row.right.number


def test_equal_texts_have_nothing_to_show() -> None:
    comparison = compare("a\nb", "a\nb\n")
    assert comparison.equal
    assert [row.kind for row in comparison.rows] == ["skipped"]


def test_lines_that_came_went_and_changed_stand_side_by_side() -> None:
    comparison = compare("a\nhello big world\nc\nd", "a\nhello small world\nd\ne")
    assert [shown(row) for row in comparison.rows] == [
        ("same", 1, 1),
        ("changed", 2, 2),
        ("removed", 3, 0),
        ("same", 4, 3),
        ("added", 0, 4),
    ]
    changed = comparison.rows[1]
    assert [text for text, differs in changed.left.pieces if differs] == ["big"]
    assert [text for text, differs in changed.right.pieces if differs] == ["small"]
    assert (comparison.added, comparison.removed) == (2, 2)


def test_lines_with_little_in_common_are_marked_whole() -> None:
    (row,) = compare("abc def", "1,2,3,4,5").rows
    assert row.left.pieces == (("abc def", True),)


def test_no_text_gets_lost() -> None:
    left = "\n".join(f"line {n}" for n in range(40))
    right = left.replace("line 20", "another 20")
    comparison = compare(left, right)
    assert sum(row.count or 1 for row in comparison.rows) == 40
    changed = next(row for row in comparison.rows if row.kind == "changed")
    assert "".join(text for text, _ in changed.right.pieces) == "another 20"


def test_texts_that_are_too_long_are_not_compared() -> None:
    long = "x\n" * (MOST_LINES + 1)
    assert compare(long, "x").too_long
    assert compare(long, long).equal


def test_thousands_of_like_lines_are_compared_in_time() -> None:
    assert not compare("\n" * MOST_LINES, "a\n" + "\n" * (MOST_LINES - 1)).too_long


def test_thousands_of_changed_lines_are_compared_in_time() -> None:
    left = "\n".join(f"{n} " + "a, " * 70 for n in range(MOST_LINES))
    right = "\n".join(f"{n} " + "a, b, " * 35 for n in range(MOST_LINES))
    assert compare(left, right).added == MOST_LINES
