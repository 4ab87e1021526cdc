"""Locations of the parts of a flow document in its text: an error's path as a line and a column."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from flows.definition.types import FlowIssue
from flows.template.compiler import join_path

# Aliases let a short text expand to a long document: only so many parts are located.
MAX_LOCATIONS = 50_000
MAX_LOCATED_LENGTH = 500_000
_JSON_TOKEN_PATTERN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([{}\[\],:])|([^\s{}\[\],:"]+))', re.DOTALL)


@dataclass(frozen=True)
class SourceLocation:
    """The start of a part: `line` and `column` count from 1. `inside` is the start of its text; None if unknown.

    With `indent`, its text continues in the lines below, each indented by so much; otherwise it is one line.
    """

    line: int
    column: int
    text_start: tuple[int, int] | None = None
    is_block_text: bool = False

    def locate_in_text(self, line: int, column: int) -> tuple[int, int]:
        """Return line and column in the document of a line and column in the part's text; all count from 1."""
        if not line or self.text_start is None:
            return self.line, self.column
        if line > 1 and not self.is_block_text:
            return self.text_start
        first_line, first_column = self.text_start
        return first_line + line - 1, first_column + max(column, 1) - 1


class SourceMap:
    """The locations of all parts of a JSON or YAML text that could be parsed, by path as in `steps[0].event.name`."""

    def __init__(self, text: str, *, is_json: bool) -> None:
        path_locations = _locate_json(text) if is_json else _locate_yaml(text)
        self._locations: dict[str, SourceLocation] = {}
        for (path, location), _ in zip(path_locations, range(MAX_LOCATIONS), strict=False):
            self._locations.setdefault(path, location)

    def locate(self, path: str, line: int = 0, column: int = 0) -> tuple[int, int]:
        """Return line and column of the part at the path, or of its closest parent; `line` and `column`: in its
        text.
        """
        if location := self._locations.get(path):
            return location.locate_in_text(line, column)
        while path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
            if location := self._locations.get(path):
                return location.line, location.column
        return 1, 1


def locate_issues(issues: Iterable[FlowIssue], text: str, *, is_json: bool, root: str = "") -> list[FlowIssue]:
    """Give each issue its line and column in the text; `root` is the path of the flow in the text's document.

    In a text longer than MAX_LOCATED_LENGTH characters, issues have no line and column.
    """
    if len(text) > MAX_LOCATED_LENGTH:
        return [replace(issue, line=0, column=0) for issue in issues]
    source_map = SourceMap(text, is_json=is_json)
    located = []
    for issue in issues:
        path = f"{root}.{issue.path}" if root and issue.path else root or issue.path
        line, column = source_map.locate(path, issue.line, issue.column)
        located.append(replace(issue, line=line, column=column))
    return located


PathLocation = tuple[str, SourceLocation]


def _key_paths(path: str, key: str) -> Iterator[str]:
    """Yield a key's path in the notation of issues, and the dotted path of templates if it differs."""
    yield join_path(path, key)
    dotted_path = f"{path}.{key}" if path else key
    if dotted_path != join_path(path, key):
        yield dotted_path


# YAML


def _locate_yaml(text: str) -> Iterator[PathLocation]:
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return
    if node is not None:
        yield from _locate_yaml_node(node, "", _get_position(node), text.split("\n"))


def _get_position(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _locate_yaml_node(node: yaml.Node, path: str, start: tuple[int, int], lines: list[str]) -> Iterator[PathLocation]:
    text_start, is_block_text = _locate_yaml_text(node, lines) if isinstance(node, yaml.ScalarNode) else (None, False)
    yield path, SourceLocation(*start, text_start, is_block_text)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                for key_path in _key_paths(path, key.value):
                    yield from _locate_yaml_node(value, key_path, _get_position(key), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _locate_yaml_node(item, f"{path}[{index}]", _get_position(item), lines)


def _locate_yaml_text(node: yaml.ScalarNode, lines: list[str]) -> tuple[tuple[int, int], bool]:
    line, column = _get_position(node)
    if node.style == "|":
        next_line = next((lines[index] for index in range(line, len(lines)) if lines[index].strip()), "")
        return (line + 1, len(next_line) - len(next_line.lstrip(" ")) + 1), True
    return (line, column + (1 if node.style in ("'", '"') else 0)), False


# JSON


@dataclass(frozen=True)
class _JSONToken:
    text: str
    line: int
    column: int


def _locate_json(text: str) -> Iterator[PathLocation]:
    tokens = list(_tokenize_json(text))
    if tokens:
        yield from _locate_json_value(iter(tokens[1:]), tokens[0], "", tokens[0])


def _tokenize_json(text: str) -> Iterator[_JSONToken]:
    line, line_start, position = 1, 0, 0
    while match := _JSON_TOKEN_PATTERN.match(text, position):
        token_start = match.start(match.lastindex or 0)
        newline_count = text.count("\n", position, token_start)
        if newline_count:
            line, line_start = line + newline_count, text.rfind("\n", position, token_start) + 1
        position = match.end()
        yield _JSONToken(match[match.lastindex or 0], line, token_start - line_start + 1)


def _locate_json_value(
    tokens: Iterator[_JSONToken], token: _JSONToken, path: str, start_token: _JSONToken
) -> Iterator[PathLocation]:
    text_start = (token.line, token.column + 1) if token.text[0] == '"' else None
    yield path, SourceLocation(start_token.line, start_token.column, text_start)
    if token.text == "{":
        yield from _locate_json_object(tokens, path)
    elif token.text == "[":
        index = 0
        for item in tokens:
            if item.text == "]":
                return
            if item.text != ",":
                yield from _locate_json_value(tokens, item, f"{path}[{index}]", item)
                index += 1


def _locate_json_object(tokens: Iterator[_JSONToken], path: str) -> Iterator[PathLocation]:
    for key in tokens:
        if key.text == "}":
            return
        if key.text == ",":
            continue
        next(tokens, None)
        value = next(tokens, None)
        if value is None:
            return
        key_path, *alternative_paths = _key_paths(path, _unquote_key(key.text))
        for alternative_path in alternative_paths:
            yield (
                alternative_path,
                SourceLocation(key.line, key.column, (value.line, value.column + 1) if value.text[0] == '"' else None),
            )
        yield from _locate_json_value(tokens, value, key_path, key)


def _unquote_key(text: str) -> str:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text
