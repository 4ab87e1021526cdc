"""The shape of a template's output: literal texts, choices between texts, and parts that can be any text."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple


class Choice(NamedTuple):
    """Alternative parts of an output. can_be_absent: it can also be that none of them is rendered."""

    branches: tuple["Shape", ...]
    can_be_absent: bool


class AnyText(NamedTuple):
    """A part of an output that can be any text."""


Shape = tuple[str | Choice | AnyText, ...]
ANY_TEXT = AnyText()


def can_equal_any(shape: Shape, texts: Collection[str]) -> bool:
    """Return False if an output of this shape never equals one of the texts, none of which is empty."""
    return _find_outcomes(shape, texts)[1]


def _find_outcomes(shape: Shape, texts: Collection[str]) -> tuple[bool, bool]:
    """Return whether the shape's output can be empty, and whether it can be a part of one of the texts."""
    can_be_empty, can_be_part = True, False
    for node in shape:
        node_empty, node_part = _find_node_outcomes(node, texts)
        can_be_part = (can_be_part and (node_empty or node_part)) or (can_be_empty and node_part)
        can_be_empty = can_be_empty and node_empty
    return can_be_empty, can_be_part


def _find_node_outcomes(node: str | Choice | AnyText, texts: Collection[str]) -> tuple[bool, bool]:
    if isinstance(node, str):
        return not node, any(node in text for text in texts)
    if isinstance(node, AnyText):
        return True, True
    outcomes = [_find_outcomes(branch, texts) for branch in node.branches]
    return node.can_be_absent or any(empty for empty, _ in outcomes), any(part for _, part in outcomes)


def iter_literals(shape: Iterable[str | Choice | AnyText]) -> Iterator[str]:
    """Yield the literal texts of the shape, also those of choices."""
    for node in shape:
        if isinstance(node, str):
            yield node
        elif isinstance(node, Choice):
            for branch in node.branches:
                yield from iter_literals(branch)
