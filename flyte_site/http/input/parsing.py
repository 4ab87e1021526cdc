"""Safe parsing of JSON and YAML into plain values, with limits for depth and alias expansion.

YAML is parsed like in the original server (YAML 1.1: `yes` is true, `010` is 8; dates stay text), with one difference:
keys, and the names and label values that a caller declares as strings, keep the text that was written. A number
without a fraction is an integer, however it is written (`flyte_site.core.json_numbers`).
"""

import codecs
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import yaml

from flyte_formats.json_text import MAX_DEPTH, NestingError, check_depth, replace_escaped_surrogates
from flyte_site.core.json_numbers import to_json_number

MAX_EXPANSION = 2 * 1024 * 1024
"""The maximum number of characters of a document after the expansion of its aliases, or twice its length."""
MAX_EXPANDED_NODES = 50_000
"""The maximum number of nodes that aliases and merges add to those that are in the text."""
MAX_DIGITS = 4300
"""The maximum number of digits of an integer: Python's own limit for conversion between int and text."""
MAX_BITS = int(MAX_DIGITS * math.log2(10))

# Only these: some of Python's codecs are extremely slow (punycode) or can return invalid text (utf-7).
_SUPPORTED_CHARSETS = re.compile(
    r"utf-8(-sig)?|utf-16(-le|-be)?|ascii|iso8859-\d+|cp125\d|koi8-[ru]|big5|gb2312|gbk|gb18030|euc_jp|euc_kr|shift_jis"
)

StringFields: TypeAlias = Mapping[str, Any]
"""The fields whose scalars are strings: lower-case keys, `*` for any key or index, and STRING at the leaves."""
STRING: StringFields = {}

_COLLECTION_TAGS: dict[type[yaml.Node], str] = {
    yaml.MappingNode: "tag:yaml.org,2002:map",
    yaml.SequenceNode: "tag:yaml.org,2002:seq",
}


class DocumentError(ValueError):
    """A parse error. `line` and `column` count from 1; both are 0 if the position is unknown."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


def decode_text(data: bytes, charset: str) -> str:
    """Decode bytes in a charset such as `utf-8`. Raises `DocumentError`."""
    try:
        name = codecs.lookup(charset).name if charset.isascii() and charset.isprintable() else ""
    except LookupError:
        name = ""
    if not _SUPPORTED_CHARSETS.fullmatch(name):
        raise DocumentError(f"unsupported charset {charset[:40]!r}; use utf-8")
    try:
        return data.decode(name)
    except UnicodeDecodeError as error:
        raise DocumentError(f"invalid {charset[:40]} text at byte offset {error.start}") from None


def parse_json(text: str, *, unique_keys: bool = False) -> Any:
    """Parse a JSON text. Raises `DocumentError`, also for numbers that are too large.

    The last of duplicate keys counts; with `unique_keys` they are an error.
    """
    pairs_hook = _reject_duplicate_keys if unique_keys else None
    try:
        value = json.loads(
            text,
            parse_int=_parse_integer,
            parse_float=_parse_finite_float,
            parse_constant=_reject_constant,
            object_pairs_hook=pairs_hook,
        )
    except DocumentError:
        raise
    except json.JSONDecodeError as error:
        reason = f"{error.msg[:1].lower()}{error.msg[1:]}"
        raise DocumentError(f"invalid JSON: {reason}", error.lineno, error.colno) from None
    except RecursionError:
        raise DocumentError(str(NestingError())) from None
    except ValueError as error:
        raise DocumentError(str(error)) from None
    try:
        check_depth(value, text)
    except NestingError as error:
        raise DocumentError(str(error)) from None
    return replace_escaped_surrogates(value, text)


def parse_yaml(text: str, string_fields: StringFields | None = None, *, unique_keys: bool = False) -> Any:
    """Parse a text with a single YAML document; an empty text is None. Raises `DocumentError`.

    The last of duplicate keys counts; with `unique_keys` they are an error.
    """
    try:
        node_count = _count_yaml_nodes(text)
        loader = yaml.CSafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            return _YAMLConverter(loader, len(text), node_count, unique_keys).convert(node, string_fields, 0)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise DocumentError(f"invalid YAML: {error.problem or error.context}", line, column) from None
    except yaml.YAMLError as error:
        raise DocumentError(f"invalid YAML: {' '.join(str(error).split())}") from None


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        duplicate = next(name for name, count in counts.items() if count > 1)
        raise DocumentError(f"duplicate key {duplicate!r}")
    return mapping


def _parse_integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"number too large: {text[:20]}…; use a string")
    return int(text)


def _parse_finite_float(text: str) -> int | float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"number too large: {text[:20]}; use a string")
    return to_json_number(number)


def _reject_constant(text: str) -> NoReturn:
    raise ValueError(f"invalid JSON: {text} is not allowed; use null or a string")


def _count_yaml_nodes(text: str) -> int:
    """Count the nodes in the text. Check the depth, before the node tree is built recursively."""
    depth = count = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        count += isinstance(event, yaml.NodeEvent)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise DocumentError(str(NestingError()))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return count


@dataclass
class _YAMLConverter:
    """A converter of the nodes of one document to values that limits the expansion of aliases."""

    loader: yaml.CSafeLoader
    text_length: int
    node_count: int
    unique_keys: bool
    length: int = field(default=0)
    converted_nodes: int = field(default=0)

    def convert(self, node: yaml.Node, string_fields: StringFields | None, depth: int) -> Any:
        self.length += 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
        self.converted_nodes += 1
        if (
            self.length > max(MAX_EXPANSION, 2 * self.text_length)
            or self.converted_nodes > self.node_count + MAX_EXPANDED_NODES
            or depth > MAX_DEPTH
        ):
            self.fail(node, "YAML aliases expand to too much data")
        if isinstance(node, yaml.ScalarNode):
            return self.convert_scalar(node, string_fields)
        if node.tag != _COLLECTION_TAGS[type(node)]:
            self.fail(node, f"unsupported YAML tag {node.tag}")
        if isinstance(node, yaml.MappingNode):
            return self.convert_mapping(node, string_fields, depth + 1)
        return [self.convert(item, _descend(string_fields, "*"), depth + 1) for item in node.value]

    def convert_mapping(self, node: yaml.MappingNode, string_fields: StringFields | None, depth: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        explicit: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fail(key, "a key must be a string; put a template that begins with {{ in quotes")
            self.length += len(key.value)
            if key.tag == "tag:yaml.org,2002:merge":
                for source in self.convert_merge_sources(item, string_fields, depth):
                    for name, value in source.items():
                        merged.setdefault(name, value)
            elif self.unique_keys and key.value in explicit:
                self.fail(key, f"duplicate key {key.value!r}")
            else:
                explicit[key.value] = self.convert(item, _descend(string_fields, key.value), depth)
        return {**merged, **explicit}

    def convert_merge_sources(
        self, node: yaml.Node, string_fields: StringFields | None, depth: int
    ) -> list[dict[str, Any]]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        sources = []
        for source in nodes:
            if not isinstance(source, yaml.MappingNode):
                self.fail(source, "<< can only merge a mapping or a list of mappings")
            sources.append(self.convert(source, string_fields, depth))
        return sources

    def convert_scalar(self, node: yaml.ScalarNode, string_fields: StringFields | None) -> Any:
        tag = node.tag.removeprefix("tag:yaml.org,2002:")
        if tag in ("str", "timestamp", "value"):
            return node.value
        if tag == "null":
            return None
        if tag not in ("bool", "int", "float"):
            self.fail(node, f"unsupported YAML tag {node.tag}")
        return node.value if string_fields == STRING else self.convert_number_or_bool(node)

    def convert_number_or_bool(self, node: yaml.ScalarNode) -> Any:
        if ":" in node.value:
            return node.value  # people write `22:30` for a time of day; in YAML 1.1 it is the number 1350
        if len(node.value) > MAX_DIGITS:
            self.fail(node, f"number too large: {node.value[:20]}…")
        try:
            value = self.loader.construct_object(node)
        except (ValueError, LookupError):
            self.fail(node, f"invalid {node.tag.rpartition(':')[2]} {node.value[:40]!r}")
        if isinstance(value, float):
            if not math.isfinite(value):
                self.fail(node, f"invalid number {node.value[:20]}: not allowed in JSON")
            return to_json_number(value)
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            self.fail(node, f"number too large: {node.value[:20]}…")
        return value

    def fail(self, node: yaml.Node, message: str) -> NoReturn:
        raise DocumentError(message, node.start_mark.line + 1, node.start_mark.column + 1)


def _descend(string_fields: StringFields | None, key: str) -> StringFields | None:
    if not string_fields:
        return None
    below: StringFields | None = string_fields.get(key.lower(), string_fields.get("*"))
    return below
