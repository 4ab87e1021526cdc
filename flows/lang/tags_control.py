"""Tags that decide what is written, and with which names: if, for, with, set, macro …"""

from collections.abc import Callable
from functools import cmp_to_key, partial
from typing import Any

from flows.lang.compiling import Cursor, Run, Write
from flows.lang.errors import REFUSALS, SourceError, placed
from flows.lang.evaluation import Scope
from flows.lang.lexer import KEYWORD, NAME
from flows.lang.macros import Macro, Parameter
from flows.lang.operands import folded_left
from flows.lang.operators import COMPARISONS, order
from flows.lang.parsing import Block, DocumentParser, Tag, TagParser
from flows.lang.values import ForLoop, Record, equal, truth


def nothing(scope: Scope) -> str:
    """Writes nothing."""
    return ""


def finish_end(block: Block) -> Block:
    """The block, whose end tag must stand alone. Raises SourceError."""
    block.arguments.finish("'%}'")
    return block


def parse_if(parser: DocumentParser, tag: Tag) -> Write:
    """`{% if a %}…{% elif b %}…{% else %}…{% endif %}`"""
    branches: list[tuple[Run, Write]] = []
    otherwise: Write = nothing
    condition = _condition(parser, tag.arguments)
    while True:
        block = parser.block(tag, "elif", "else", "endif")
        branches.append((condition, block.write))
        if block.end.value == "elif":
            condition = _condition(parser, block.arguments)
            continue
        finish_end(block)
        if block.end.value == "else":
            otherwise = finish_end(parser.block(tag, "endif")).write
        return _branches(branches, otherwise)


def _condition(parser: DocumentParser, cursor: Cursor) -> Run:
    condition = parser.expressions(cursor).expression()
    cursor.finish("'%}'")
    return condition.run


def _branches(branches: list[tuple[Run, Write]], otherwise: Write) -> Write:
    if len(branches) == 1:
        condition, then = branches[0]
        return lambda scope: then(scope) if truth(condition(scope)) else otherwise(scope)

    def write(scope: Scope) -> str:
        for condition, then in branches:
            if truth(condition(scope)):
                return then(scope)
        return otherwise(scope)

    return write


def parse_if_equal(wanted: bool, parser: DocumentParser, tag: Tag) -> Write:
    """`{% ifequal a b %}…{% else %}…{% endifequal %}`, and `ifnotequal`."""
    expressions = parser.expressions(tag.arguments)
    operands = [expressions.expression().run, expressions.expression().run]
    tag.arguments.finish("'%}'")
    then, otherwise = _then_else(parser, tag)
    same = folded_left(operands, [COMPARISONS["=="]], [tag.token.offset])
    return lambda scope: then(scope) if same(scope) is wanted else otherwise(scope)


def _then_else(parser: DocumentParser, tag: Tag) -> tuple[Write, Write]:
    end = "end" + tag.token.value
    block = finish_end(parser.block(tag, "else", end))
    if block.end.value == "else":
        return block.write, finish_end(parser.block(tag, end)).write
    return block.write, nothing


def parse_for(parser: DocumentParser, tag: Tag) -> Write:
    """`{% for x in list reversed sorted %}…{% empty %}…{% endfor %}`; `for key, value in map`."""
    cursor = tag.arguments
    key = parser.compiling.declare(cursor.expect(NAME, "a name"))
    value = ""
    if cursor.take_symbol(","):
        value = parser.compiling.declare(cursor.expect(NAME, "a name"))
    if not cursor.take_word(KEYWORD, "in"):
        raise cursor.unexpected("'in'")
    items = parser.expressions(cursor).expression().run
    backwards = cursor.take_word(NAME, "reversed") is not None
    ordered = cursor.take_word(NAME, "sorted") is not None
    cursor.finish("'%}'")
    block = finish_end(parser.block(tag, "empty", "endfor"))
    otherwise: Write = nothing
    if block.end.value == "empty":
        otherwise = finish_end(parser.block(tag, "endfor")).write
    return _loop(key, value, partial(_items, items, backwards, ordered, tag.token.offset), block, otherwise, tag)


def _items(items: Run, backwards: bool, ordered: bool, offset: int, scope: Scope) -> list[tuple[object, ...]]:
    value = items(scope)
    if isinstance(value, Record) or not isinstance(value, list | dict | str):
        return []
    scope.evaluation.spend(len(value) >> 2, offset)
    if isinstance(value, dict):
        keys = sorted(value, reverse=backwards) if ordered else list(value)
        return [(key, value[key]) for key in keys]
    if isinstance(value, str) and ordered:
        raise SourceError("'sorted' needs a list or a map, not a text", offset)
    found: list[Any] = list(value)
    if ordered:
        scope.evaluation.spend(len(found), offset)
        found = _ordered(found, backwards, offset)
    elif backwards:
        found.reverse()
    return [(each,) for each in found]


def _ordered(items: list[Any], backwards: bool, offset: int) -> list[Any]:
    try:
        return sorted(items, key=cmp_to_key(order), reverse=backwards)
    except REFUSALS as refusal:
        raise placed(refusal, offset) from None


def _loop(
    key: str,
    value: str,
    items: Callable[[Scope], list[tuple[object, ...]]],
    block: Block,
    otherwise: Write,
    tag: Tag,
) -> Write:
    body, weight, offset = block.write, block.weight, tag.token.offset

    def write(scope: Scope) -> str:
        inner = scope.child(offset)
        loop = ForLoop(scope.loop())
        private = inner.private
        private["forloop"] = loop
        found = items(inner)
        if not found:
            return otherwise(inner)
        evaluation = scope.evaluation
        room = evaluation.limits.text
        loop.count = len(found)
        evaluation.take_turns(loop.count, weight, offset)
        out: list[str] = []
        for loop.index, item in enumerate(found):
            private[key] = item[0]
            if value and len(item) == 2:
                private[value] = item[1]
            out.append(body(inner))
            room -= len(out[-1])
            if room < 0:
                raise SourceError(f"the text gets too long (more than {evaluation.limits.text:,} characters)", offset)
        return "".join(out)

    return write


def parse_set(parser: DocumentParser, tag: Tag) -> Write:
    """`{% set name = value %}`"""
    token = tag.arguments.expect(NAME, "a name")
    tag.arguments.expect_symbol("=", "'='")
    run = parser.expressions(tag.arguments).expression().run
    tag.arguments.finish("'%}'")
    name = parser.compiling.declare(token)

    def write(scope: Scope) -> str:
        scope.private[name] = run(scope)
        return ""

    return write


def parse_with(parser: DocumentParser, tag: Tag) -> Write:
    """`{% with a=1 b=2 %}…{% endwith %}`, or `{% with 1 as a 2 as b %}`"""
    cursor = tag.arguments
    if cursor.at_end():
        raise cursor.unexpected("a name")
    old = any(token.kind == KEYWORD and token.value == "as" for token in cursor.tokens)
    read = _value_as_name if old else _name_is_value
    pairs = []
    while not cursor.at_end():
        pairs.append(read(parser, cursor))
    body = finish_end(parser.block(tag, "endwith")).write

    def write(scope: Scope) -> str:
        inner = scope.child(tag.token.offset)
        for name, run in pairs:
            inner.private[name] = run(scope)
        return body(inner)

    return write


def _name_is_value(parser: DocumentParser, cursor: Cursor) -> tuple[str, Run]:
    name = parser.compiling.declare(cursor.expect(NAME, "a name"))
    cursor.expect_symbol("=", "'='")
    return name, parser.expressions(cursor).expression().run


def _value_as_name(parser: DocumentParser, cursor: Cursor) -> tuple[str, Run]:
    run = parser.expressions(cursor).expression().run
    if not cursor.take_word(KEYWORD, "as"):
        raise cursor.unexpected("'as'")
    return parser.compiling.declare(cursor.expect(NAME, "a name")), run


def parse_macro(parser: DocumentParser, tag: Tag) -> Write:
    """`{% macro name(a, b=1) %}…{% endmacro %}`, called as `{{ name(2) }}`."""
    cursor = tag.arguments
    name = parser.compiling.declare(cursor.expect(NAME, "a name"))
    parameters = _parameters(parser, cursor)
    cursor.take_word(KEYWORD, "export")
    cursor.finish("'%}'")
    block = finish_end(parser.block(tag, "endmacro"))

    def write(scope: Scope) -> str:
        scope.private[name] = Macro(name, parameters, block.write, block.weight, scope)
        return ""

    return write


def _parameters(parser: DocumentParser, cursor: Cursor) -> list[Parameter]:
    cursor.expect_symbol("(", "'('")
    parameters: list[Parameter] = []
    while not cursor.take_symbol(")"):
        name = parser.compiling.declare(cursor.expect(NAME, "a name"))
        default = parser.expressions(cursor).expression().run if cursor.take_symbol("=") else None
        parameters.append(Parameter(name, default))
        if cursor.take_symbol(")"):
            break
        cursor.expect_symbol(",", "',' or ')'")
    return parameters


def parse_if_changed(parser: DocumentParser, tag: Tag) -> Write:
    """`{% ifchanged %}…{% endifchanged %}`: only if it prints something new; `ifchanged a b`: if a or b is new."""
    watched: list[Run] = []
    while not tag.arguments.at_end():
        watched.append(parser.expressions(tag.arguments).expression().run)
    then, otherwise = _then_else(parser, tag)
    place = object()
    if not watched:
        return _if_text_changed(place, then)

    def write(scope: Scope) -> str:
        values = [run(scope) for run in watched]
        before = scope.state.get(place)
        scope.state[place] = values
        try:
            same = before is not None and equal(before, values, scope.evaluation.spend)
        except REFUSALS as refusal:
            raise placed(refusal, tag.token.offset) from None
        return otherwise(scope) if same else then(scope)

    return write


def _if_text_changed(place: object, then: Write) -> Write:
    def write(scope: Scope) -> str:
        printed = then(scope)
        if scope.state.get(place) == printed:
            return ""
        scope.state[place] = printed
        return printed

    return write


CONTROL_TAGS: dict[str, TagParser] = {
    "if": parse_if,
    "ifequal": partial(parse_if_equal, True),
    "ifnotequal": partial(parse_if_equal, False),
    "ifchanged": parse_if_changed,
    "for": parse_for,
    "set": parse_set,
    "with": parse_with,
    "macro": parse_macro,
}
