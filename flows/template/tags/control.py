"""Tags that control output and assign names: if, for, with, set, macro …"""

from collections.abc import Callable
from functools import cmp_to_key, partial
from typing import Any

from flows.template.closures import fold_left
from flows.template.compilation import ExpressionFunc, RenderFunc, TokenStream
from flows.template.errors import OPERATION_ERRORS, LocatedError, locate_error
from flows.template.lexer import KEYWORD, NAME
from flows.template.parser import Block, Tag, TagParser, TemplateParser
from flows.template.runtime.collecting import copy_to_collected
from flows.template.runtime.macros import Macro, MacroParameter
from flows.template.runtime.operators import COMPARISONS, compare_for_sorting
from flows.template.runtime.render_context import Scope
from flows.template.runtime.values import CollectedList, ForLoop, Record, is_equal, is_truthy


def render_nothing(scope: Scope) -> str:
    """Render an empty text."""
    return ""


def check_end_tag(block: Block) -> Block:
    """Return the block. Raises LocatedError if its end tag has arguments."""
    block.arguments.expect_end("'%}'")
    return block


def parse_if(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% if a %}…{% elif b %}…{% else %}…{% endif %}`."""
    branches: list[tuple[ExpressionFunc, RenderFunc]] = []
    render_else: RenderFunc = render_nothing
    condition = _parse_condition(parser, tag.arguments)
    while True:
        block = parser.parse_block(tag, "elif", "else", "endif")
        branches.append((condition, block.render))
        if block.end_token.value == "elif":
            condition = _parse_condition(parser, block.arguments)
            continue
        check_end_tag(block)
        if block.end_token.value == "else":
            render_else = check_end_tag(parser.parse_block(tag, "endif")).render
        return _compile_branches(branches, render_else)


def _parse_condition(parser: TemplateParser, stream: TokenStream) -> ExpressionFunc:
    condition = parser.make_expression_parser(stream).parse_expression()
    stream.expect_end("'%}'")
    return condition.evaluate


def _compile_branches(branches: list[tuple[ExpressionFunc, RenderFunc]], render_else: RenderFunc) -> RenderFunc:
    if len(branches) == 1:
        condition, render_then = branches[0]
        return lambda scope: render_then(scope) if is_truthy(condition(scope)) else render_else(scope)

    def render(scope: Scope) -> str:
        for condition, render_then in branches:
            if is_truthy(condition(scope)):
                return render_then(scope)
        return render_else(scope)

    return render


def parse_if_equal(expected: bool, parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% ifequal a b %}…{% else %}…{% endifequal %}`, and `ifnotequal`."""
    expressions = parser.make_expression_parser(tag.arguments)
    operands = [expressions.parse_expression().evaluate, expressions.parse_expression().evaluate]
    tag.arguments.expect_end("'%}'")
    render_then, render_else = _parse_then_else(parser, tag)
    is_equal = fold_left(operands, [COMPARISONS["=="]], [tag.token.offset])
    return lambda scope: render_then(scope) if is_equal(scope) is expected else render_else(scope)


def _parse_then_else(parser: TemplateParser, tag: Tag) -> tuple[RenderFunc, RenderFunc]:
    end_tag = "end" + tag.token.value
    block = check_end_tag(parser.parse_block(tag, "else", end_tag))
    if block.end_token.value == "else":
        return block.render, check_end_tag(parser.parse_block(tag, end_tag)).render
    return block.render, render_nothing


def parse_for(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% for x in list reversed sorted %}…{% empty %}…{% endfor %}`; `for key, value in map`."""
    stream = tag.arguments
    key_name = parser.compilation.declare_name(stream.expect(NAME, "a name"))
    value_name = ""
    if stream.accept_symbol(","):
        value_name = parser.compilation.declare_name(stream.expect(NAME, "a name"))
    if not stream.accept_word(KEYWORD, "in"):
        raise stream.make_unexpected_token_error("'in'")
    evaluate_items = parser.make_expression_parser(stream).parse_expression().evaluate
    is_reversed = stream.accept_word(NAME, "reversed") is not None
    is_sorted = stream.accept_word(NAME, "sorted") is not None
    stream.expect_end("'%}'")
    block = check_end_tag(parser.parse_block(tag, "empty", "endfor"))
    render_empty: RenderFunc = render_nothing
    if block.end_token.value == "empty":
        render_empty = check_end_tag(parser.parse_block(tag, "endfor")).render
    return _compile_loop(
        key_name,
        value_name,
        partial(_get_items, evaluate_items, is_reversed, is_sorted, tag.token.offset),
        block,
        render_empty,
        tag,
    )


def _get_items(
    evaluate_items: ExpressionFunc, is_reversed: bool, is_sorted: bool, offset: int, scope: Scope
) -> list[tuple[object, ...]]:
    value = evaluate_items(scope)
    if isinstance(value, Record) or not isinstance(value, list | dict | str):
        return []
    scope.render_context.charge(len(value) >> 2, offset)
    if isinstance(value, dict):
        keys = sorted(value, reverse=is_reversed) if is_sorted else list(value)
        return [(key, value[key]) for key in keys]
    if isinstance(value, str) and is_sorted:
        raise LocatedError("'sorted' needs a list or a map, not a string", offset)
    sequence: list[Any] = list(value)
    if is_sorted:
        scope.render_context.charge(len(sequence), offset)
        sequence = _sort_items(sequence, is_reversed, offset)
    elif is_reversed:
        sequence.reverse()
    return [(item,) for item in sequence]


def _sort_items(items: list[Any], is_reversed: bool, offset: int) -> list[Any]:
    try:
        return sorted(items, key=cmp_to_key(compare_for_sorting), reverse=is_reversed)
    except OPERATION_ERRORS as error:
        raise locate_error(error, offset) from None


def _compile_loop(
    key_name: str,
    value_name: str,
    get_items: Callable[[Scope], list[tuple[object, ...]]],
    block: Block,
    render_empty: RenderFunc,
    tag: Tag,
) -> RenderFunc:
    render_body, cost, offset = block.render, block.cost, tag.token.offset

    def render(scope: Scope) -> str:
        child_scope = scope.make_child(offset)
        loop = ForLoop(scope.get_enclosing_loop())
        local_variables = child_scope.local_variables
        local_variables["forloop"] = loop
        loop_items = get_items(child_scope)
        if not loop_items:
            return render_empty(child_scope)
        render_context = scope.render_context
        remaining_length = render_context.limits.text_length
        loop.count = len(loop_items)
        render_context.charge_iterations(loop.count, cost, offset)
        output: list[str] = []
        for loop.index, item in enumerate(loop_items):
            local_variables[key_name] = item[0]
            if value_name and len(item) == 2:
                local_variables[value_name] = item[1]
            output.append(render_body(child_scope))
            remaining_length -= len(output[-1])
            if remaining_length < 0:
                raise LocatedError(
                    f"text is too long (more than {render_context.limits.text_length:,} characters)", offset
                )
        return "".join(output)

    return render


def parse_set(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% set name = value %}`."""
    token = tag.arguments.expect(NAME, "a name")
    tag.arguments.expect_symbol("=", "'='")
    evaluate = parser.make_expression_parser(tag.arguments).parse_expression().evaluate
    tag.arguments.expect_end("'%}'")
    name, offset = parser.compilation.declare_name(token), tag.token.offset
    collected_names = parser.compilation.collected_names

    def render(scope: Scope) -> str:
        value = evaluate(scope)
        if isinstance(value, list) and (name in collected_names or isinstance(value, CollectedList)):
            value = copy_to_collected(value, scope.render_context, offset)
        scope.local_variables[name] = value
        return ""

    return render


def parse_with(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% with a=1 b=2 %}…{% endwith %}`, or `{% with 1 as a 2 as b %}`."""
    stream = tag.arguments
    if stream.is_at_end():
        raise stream.make_unexpected_token_error("a name")
    uses_as = any(token.kind == KEYWORD and token.value == "as" for token in stream.tokens)
    parse_pair = _parse_value_as_name if uses_as else _parse_assignment
    assignments = []
    while not stream.is_at_end():
        assignments.append(parse_pair(parser, stream))
    render_body = check_end_tag(parser.parse_block(tag, "endwith")).render

    def render(scope: Scope) -> str:
        child_scope = scope.make_child(tag.token.offset)
        for name, evaluate in assignments:
            child_scope.local_variables[name] = evaluate(scope)
        return render_body(child_scope)

    return render


def _parse_assignment(parser: TemplateParser, stream: TokenStream) -> tuple[str, ExpressionFunc]:
    name = parser.compilation.declare_name(stream.expect(NAME, "a name"))
    stream.expect_symbol("=", "'='")
    return name, parser.make_expression_parser(stream).parse_expression().evaluate


def _parse_value_as_name(parser: TemplateParser, stream: TokenStream) -> tuple[str, ExpressionFunc]:
    evaluate = parser.make_expression_parser(stream).parse_expression().evaluate
    if not stream.accept_word(KEYWORD, "as"):
        raise stream.make_unexpected_token_error("'as'")
    return parser.compilation.declare_name(stream.expect(NAME, "a name")), evaluate


def parse_macro(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% macro name(a, b=1) %}…{% endmacro %}`, called as `{{ name(2) }}`."""
    stream = tag.arguments
    name = parser.compilation.declare_name(stream.expect(NAME, "a name"))
    parameters = _parse_parameters(parser, stream)
    stream.accept_word(KEYWORD, "export")
    stream.expect_end("'%}'")
    block = check_end_tag(parser.parse_block(tag, "endmacro"))

    def render(scope: Scope) -> str:
        scope.local_variables[name] = Macro(name, parameters, block.render, block.cost, scope)
        return ""

    return render


def _parse_parameters(parser: TemplateParser, stream: TokenStream) -> list[MacroParameter]:
    stream.expect_symbol("(", "'('")
    parameters: list[MacroParameter] = []
    while not stream.accept_symbol(")"):
        name = parser.compilation.declare_name(stream.expect(NAME, "a name"))
        default = (
            parser.make_expression_parser(stream).parse_expression().evaluate if stream.accept_symbol("=") else None
        )
        parameters.append(MacroParameter(name, default))
        if stream.accept_symbol(")"):
            break
        stream.expect_symbol(",", "',' or ')'")
    return parameters


def parse_if_changed(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% ifchanged %}…{% endifchanged %}`, printed only if its output changed; `ifchanged a b`: if a or b
    changed.
    """
    expressions: list[ExpressionFunc] = []
    while not tag.arguments.is_at_end():
        expressions.append(parser.make_expression_parser(tag.arguments).parse_expression().evaluate)
    render_then, render_else = _parse_then_else(parser, tag)
    state_key = object()
    if not expressions:
        return _compile_if_output_changed(state_key, render_then)

    def render(scope: Scope) -> str:
        values = [evaluate(scope) for evaluate in expressions]
        previous_values = scope.tag_state.get(state_key)
        scope.tag_state[state_key] = values
        try:
            is_unchanged = previous_values is not None and is_equal(
                previous_values, values, scope.render_context.charge
            )
        except OPERATION_ERRORS as error:
            raise locate_error(error, tag.token.offset) from None
        return render_else(scope) if is_unchanged else render_then(scope)

    return render


def _compile_if_output_changed(state_key: object, render_then: RenderFunc) -> RenderFunc:
    def render(scope: Scope) -> str:
        output = render_then(scope)
        if scope.tag_state.get(state_key) == output:
            return ""
        scope.tag_state[state_key] = output
        return output

    return render


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
