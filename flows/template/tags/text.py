"""Tags that print or transform text: filter, cycle, firstof, now, lorem …"""

import itertools
import math
import re
import secrets
from datetime import UTC, datetime

from flows.template.compilation import ExpressionFunc, RenderFunc
from flows.template.errors import OPERATION_ERRORS, LocatedError, OperationError, locate_error
from flows.template.filter_calls import SHELL_SAFE_FILTERS, check_chain_length
from flows.template.lexer import KEYWORD, NAME, NUMBER, STRING
from flows.template.limits import MAX_LAYOUT_LENGTH, MAX_LOREM_COUNT
from flows.template.parser import Tag, TagParser, TemplateParser, render_value
from flows.template.runtime.go_time import format_go_or_django, is_time_layout
from flows.template.runtime.numbers import read_float
from flows.template.runtime.render_context import RenderContext, Scope
from flows.template.runtime.values import CycleValue, is_truthy, to_text
from flows.template.tags.lorem import PARAGRAPHS

_SPACE_BETWEEN_TAGS = re.compile(r"(?<=>)[\t\n\v\f\r ]+(?=<)")
_DELIMITERS_BY_NAME = {
    "openblock": "{%",
    "closeblock": "%}",
    "openvariable": "{{",
    "closevariable": "}}",
    "openbrace": "{",
    "closebrace": "}",
    "opencomment": "{#",
    "closecomment": "#}",
}
_FAKE_NOW = datetime(2014, 2, 5, 18, 31, 45, tzinfo=UTC)


def parse_autoescape(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% autoescape on %}…{% endautoescape %}`."""
    mode = tag.arguments.accept_word(NAME, "on", "off")
    if mode is None:
        raise tag.arguments.make_unexpected_token_error("'on' or 'off'")
    tag.arguments.expect_end("'%}'")
    is_on, render_body = mode.value == "on", parser.parse_block(tag, "endautoescape").render

    def render(scope: Scope) -> str:
        previous_autoescape = scope.autoescape
        scope.autoescape = is_on
        output = render_body(scope)
        scope.autoescape = previous_autoescape
        return output

    return render


def parse_comment(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% comment %}…{% endcomment %}`; its content is skipped."""
    tag.arguments.expect_end("'%}'")
    parser.read_raw_until(tag, "endcomment")
    return lambda scope: ""


def parse_verbatim(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% verbatim %}…{% endverbatim %}`, printed unchanged."""
    tag.arguments.expect_end("'%}'")
    body = parser.read_raw_until(tag, "endverbatim")
    return lambda scope: body


def parse_filter(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% filter upper|cut:'a' %}…{% endfilter %}`."""
    state_key = object()
    expressions = parser.make_expression_parser(tag.arguments)
    evaluate: ExpressionFunc = lambda scope: scope.tag_state[state_key]  # noqa: E731
    for chain_length in itertools.count(1):
        check_chain_length(chain_length, tag.token.offset)
        evaluate, filter_name = expressions.parse_filter_call(evaluate)
        if not tag.arguments.accept_symbol("|"):
            break
    tag.arguments.expect_end("'%}'")
    first_output = len(parser.compilation.raw_outputs)
    render_body, offset = parser.parse_block(tag, "endfilter").render, tag.token.offset
    if filter_name in SHELL_SAFE_FILTERS:
        del parser.compilation.raw_outputs[first_output:]

    def render(scope: Scope) -> str:
        scope.tag_state[state_key] = render_body(scope)
        return render_value(evaluate(scope), scope, offset, True)

    return render


def parse_spaceless(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% spaceless %}<a> <b>{% endspaceless %}`, which removes white space between HTML tags."""
    tag.arguments.expect_end("'%}'")
    render_body = parser.parse_block(tag, "endspaceless").render
    return lambda scope: _SPACE_BETWEEN_TAGS.sub("", render_body(scope))


def parse_templatetag(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% templatetag openblock %}`, which prints a delimiter of the language."""
    token = tag.arguments.expect(NAME, "a name")
    tag.arguments.expect_end("'%}'")
    delimiter = _DELIMITERS_BY_NAME.get(token.value)
    if delimiter is None:
        raise LocatedError(
            f"unknown templatetag '{token.value}'; use one of: {', '.join(_DELIMITERS_BY_NAME)}", token.offset
        )
    return lambda scope: delimiter


def parse_firstof(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% firstof a b 'c' %}`, which prints the first true value."""
    choices = []
    while not tag.arguments.is_at_end():
        first_reference = len(parser.compilation.references)
        choices.append(parser.make_expression_parser(tag.arguments).parse_expression())
        parser.compilation.record_output(choices[-1], first_reference)

    def render(scope: Scope) -> str:
        for choice in choices:
            value = choice.evaluate(scope)
            if is_truthy(value):
                return render_value(value, scope, choice.offset, choice.is_safe)
        return ""

    return render


def parse_cycle(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% cycle 'a' 'b' %}`, `{% cycle 'a' 'b' as name silent %}`, then `{% cycle name %}`."""
    stream = tag.arguments
    choices: list[ExpressionFunc] = []
    name, is_silent = "", False
    while not stream.is_at_end():
        choices.append(parser.make_expression_parser(stream).parse_expression().evaluate)
        if stream.accept_word(KEYWORD, "as"):
            name = parser.compilation.declare_name(stream.expect(NAME, "a name"))
            is_silent = stream.accept_word(NAME, "silent") is not None
            break
    stream.expect_end("'%}'")
    if not choices:
        raise stream.make_unexpected_token_error("a value")
    return _CycleTag(choices, name, is_silent, tag.token.offset).render


class _CycleTag:
    """A cycle tag; its position is kept in the state of the rendering."""

    def __init__(self, choices: list[ExpressionFunc], name: str, is_silent: bool, offset: int) -> None:
        self.choices = choices
        self.name = name
        self.is_silent = is_silent
        self.offset = offset

    def advance(self, scope: Scope) -> object:
        """Return the next value."""
        index = scope.tag_state.get(self, 0)
        scope.tag_state[self] = index + 1
        return self.choices[index % len(self.choices)](scope)

    def render(self, scope: Scope) -> str:
        """Render the tag."""
        value = self.advance(scope)
        is_silent = self.is_silent
        if isinstance(value, CycleValue) and isinstance(value.cycle, _CycleTag):
            is_silent = value.cycle.is_silent
            value.value = value.cycle.advance(scope)
            value = value.value
        elif self.name:
            scope.local_variables[self.name] = CycleValue(self, value)
        try:
            return "" if is_silent else to_text(value)
        except OPERATION_ERRORS as error:
            raise locate_error(error, self.offset) from None


def parse_now(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% now '2006-01-02' %}`, the time in a layout for `date`; with `fake` always the same time."""
    layout = tag.arguments.expect(STRING, "a layout in quotes")
    is_fake = tag.arguments.accept_word(NAME, "fake") is not None
    tag.arguments.expect_end("'%}'")
    if len(layout.value) > MAX_LAYOUT_LENGTH:
        raise LocatedError(f"layout is too long (more than {MAX_LAYOUT_LENGTH:,} characters)", layout.offset)
    if not is_time_layout(layout.value):
        parser.compilation.add_warning(f"the layout {layout.value[:40]!r} contains no part of a time", layout.offset)
        return lambda scope: layout.value
    return lambda scope: format_go_or_django(_FAKE_NOW if is_fake else datetime.now(UTC), layout.value)


def parse_widthratio(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% widthratio value maximum width %}`, `… as name`: value / maximum, scaled to width, rounded up."""
    expressions = parser.make_expression_parser(tag.arguments)
    operands = [expressions.parse_expression().evaluate for _ in range(3)]
    name = ""
    if tag.arguments.accept_word(KEYWORD, "as"):
        name = parser.compilation.declare_name(tag.arguments.expect(NAME, "a name"))
    tag.arguments.expect_end("'%}'")

    def render(scope: Scope) -> str:
        ratio = _compute_ratio([evaluate(scope) for evaluate in operands], scope.render_context, tag.token.offset)
        if not name:
            return str(ratio)
        scope.local_variables[name] = ratio
        return ""

    return render


def _compute_ratio(values: list[object], render_context: RenderContext, offset: int) -> int:
    try:
        value, maximum, width = (read_float(item, render_context) for item in values)
        render_context.locate_warnings(offset)
        return math.ceil(value / maximum * width + 0.5)
    except ZeroDivisionError:
        raise LocatedError("division by zero", offset) from None
    except OperationError as error:
        raise locate_error(error, offset) from None
    except (OverflowError, ValueError):
        raise LocatedError("number is too large", offset) from None


def parse_lorem(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% lorem 3 w %}`: words (w), HTML paragraphs (p) or paragraphs (b); `random` shuffles them."""
    stream = tag.arguments
    count = stream.accept(NUMBER)
    count_value = int(count.value[:9]) if count else 1
    if count and count_value > MAX_LOREM_COUNT:
        raise LocatedError(f"lorem count is too large (more than {MAX_LOREM_COUNT:,})", count.offset)
    unit_token = stream.accept(NAME)
    if unit_token is not None and unit_token.value not in ("w", "p", "b"):
        raise LocatedError(f"unknown lorem unit '{unit_token.value}'; use one of: w, p, b", unit_token.offset)
    is_random = stream.accept_word(NAME, "random") is not None
    stream.expect_end("'%}'")
    unit = unit_token.value if unit_token else "b"
    pool = " ".join(PARAGRAPHS).split() if unit == "w" else list(PARAGRAPHS)
    pool = [f"<p>{paragraph}</p>" for paragraph in pool] if unit == "p" else pool
    separator = " " if unit == "w" else "\n"

    def render(scope: Scope) -> str:
        chosen = [secrets.choice(pool) if is_random else pool[index % len(pool)] for index in range(count_value)]
        output = separator.join(chosen)
        scope.render_context.charge(count_value + (len(output) >> 6), tag.token.offset)
        return output

    return render


TEXT_TAGS: dict[str, TagParser] = {
    "autoescape": parse_autoescape,
    "comment": parse_comment,
    "cycle": parse_cycle,
    "filter": parse_filter,
    "firstof": parse_firstof,
    "lorem": parse_lorem,
    "now": parse_now,
    "spaceless": parse_spaceless,
    "templatetag": parse_templatetag,
    "verbatim": parse_verbatim,
    "widthratio": parse_widthratio,
}
