"""Where the parts of a flow document stand in its text: an error's path as a line and a column."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from flows.lang.documents import under

# Aliases let a short text stand for a long document: so many parts are looked at, and no more.
MOST_PARTS = 50_000
_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([{}\[\],:])|([^\s{}\[\],:"]+))', re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where a part begins: `line` and `column` count from 1. `inside` is where its text does; None if unknown.

    With `indent`, its text goes on in the lines below, each that far from the left; otherwise it is one line.
    """

    line: int
    column: int
    inside: tuple[int, int] | None = None
    indent: bool = False

    def within(self, line: int, column: int) -> tuple[int, int]:
        """Line and column in the document of those in the part's text, which count from 1."""
        if not line or self.inside is None:
            return self.line, self.column
        if line > 1 and not self.indent:
            return self.inside
        first, left = self.inside
        return first + line - 1, left + max(column, 1) - 1


class Places:
    """The places of all parts of a text in JSON or YAML that could be read, by path as in `steps[0].event.name`."""

    def __init__(self, text: str, *, is_json: bool) -> None:
        parts = _json_places(text) if is_json else _yaml_places(text)
        self._places: dict[str, Place] = {}
        for (path, place), _ in zip(parts, range(MOST_PARTS), strict=False):
            self._places.setdefault(path, place)

    def find(self, path: str, line: int = 0, column: int = 0) -> tuple[int, int]:
        """Line and column of what stands at the path, or of what it would be in; `line` and `column`: in its text."""
        if place := self._places.get(path):
            return place.within(line, column)
        while path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
            if place := self._places.get(path):
                return place.line, place.column
        return 1, 1


Part = tuple[str, Place]


def _paths(path: str, key: str) -> Iterator[str]:
    """A key's path as templates have it, and as other findings do."""
    yield under(path, key)
    plain = f"{path}.{key}" if path else key
    if plain != under(path, key):
        yield plain


# YAML


def _yaml_places(text: str) -> Iterator[Part]:
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return
    if node is not None:
        yield from _yaml_parts(node, "", _mark(node), text.split("\n"))


def _mark(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _yaml_parts(node: yaml.Node, path: str, begin: tuple[int, int], lines: list[str]) -> Iterator[Part]:
    inside, indent = _text_place(node, lines) if isinstance(node, yaml.ScalarNode) else (None, False)
    yield path, Place(*begin, inside, indent)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                for name in _paths(path, key.value):
                    yield from _yaml_parts(value, name, _mark(key), lines)
    elif isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _yaml_parts(item, f"{path}[{place}]", _mark(item), lines)


def _text_place(node: yaml.ScalarNode, lines: list[str]) -> tuple[tuple[int, int], bool]:
    line, column = _mark(node)
    if node.style == "|":
        below = next((text for text in lines[line:] if text.strip()), "")
        return (line + 1, len(below) - len(below.lstrip(" ")) + 1), True
    return (line, column + (1 if node.style in ("'", '"') else 0)), False


# JSON


@dataclass(frozen=True)
class _Token:
    text: str
    line: int
    column: int


def _json_places(text: str) -> Iterator[Part]:
    tokens = list(_tokens(text))
    if tokens:
        yield from _json_parts(iter(tokens[1:]), tokens[0], "", tokens[0])


def _tokens(text: str) -> Iterator[_Token]:
    line, start, at = 1, 0, 0
    while found := _TOKEN.match(text, at):
        begin = found.start(found.lastindex or 0)
        passed = text.count("\n", at, begin)
        if passed:
            line, start = line + passed, text.rfind("\n", at, begin) + 1
        at = found.end()
        yield _Token(found[found.lastindex or 0], line, begin - start + 1)


def _json_parts(tokens: Iterator[_Token], token: _Token, path: str, begin: _Token) -> Iterator[Part]:
    inside = (token.line, token.column + 1) if token.text[0] == '"' else None
    yield path, Place(begin.line, begin.column, inside)
    if token.text == "{":
        yield from _json_object(tokens, path)
    elif token.text == "[":
        place = 0
        for item in tokens:
            if item.text == "]":
                return
            if item.text != ",":
                yield from _json_parts(tokens, item, f"{path}[{place}]", item)
                place += 1


def _json_object(tokens: Iterator[_Token], path: str) -> Iterator[Part]:
    for key in tokens:
        if key.text == "}":
            return
        if key.text == ",":
            continue
        next(tokens, None)
        value = next(tokens, None)
        if value is None:
            return
        first, *others = _paths(path, _unquoted(key.text))
        for other in others:
            yield other, Place(key.line, key.column, (value.line, value.column + 1) if value.text[0] == '"' else None)
        yield from _json_parts(tokens, value, first, key)


def _unquoted(text: str) -> str:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text
