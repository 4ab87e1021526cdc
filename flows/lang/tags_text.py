"""Tags that write or change text: filter, cycle, firstof, now, lorem …"""

import itertools
import math
import re
import secrets
from datetime import UTC, datetime

from flows.lang.compiling import Run, Write
from flows.lang.errors import REFUSALS, RefusedError, SourceError, placed
from flows.lang.evaluation import Scope
from flows.lang.expressions import HARMLESS, check_chain
from flows.lang.lexer import KEYWORD, NAME, NUMBER, STRING
from flows.lang.limits import MAX_LAYOUT, MAX_LOREM
from flows.lang.lorem import PARAGRAPHS
from flows.lang.parsing import DocumentParser, Tag, TagParser, printed
from flows.lang.times import format_go
from flows.lang.values import CycleValue, real, text, truth

_BETWEEN_TAGS = re.compile(r"(?<=>)[\t\n\v\f\r ]+(?=<)")
_MARKS = {
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


def parse_autoescape(parser: DocumentParser, tag: Tag) -> Write:
    """`{% autoescape on %}…{% endautoescape %}`"""
    mode = tag.arguments.take_word(NAME, "on", "off")
    if mode is None:
        raise tag.arguments.unexpected("'on' or 'off'")
    tag.arguments.finish("'%}'")
    on, body = mode.value == "on", parser.block(tag, "endautoescape").write

    def write(scope: Scope) -> str:
        before = scope.autoescape
        scope.autoescape = on
        written = body(scope)
        scope.autoescape = before
        return written

    return write


def parse_comment(parser: DocumentParser, tag: Tag) -> Write:
    """`{% comment %}…{% endcomment %}`: nothing in it is looked at."""
    tag.arguments.finish("'%}'")
    parser.raw_until(tag, "endcomment")
    return lambda scope: ""


def parse_verbatim(parser: DocumentParser, tag: Tag) -> Write:
    """`{% verbatim %}…{% endverbatim %}`: written as it stands."""
    tag.arguments.finish("'%}'")
    body = parser.raw_until(tag, "endverbatim")
    return lambda scope: body


def parse_filter(parser: DocumentParser, tag: Tag) -> Write:
    """`{% filter upper|cut:'a' %}…{% endfilter %}`"""
    place = object()
    expressions = parser.expressions(tag.arguments)
    run: Run = lambda scope: scope.state[place]  # noqa: E731
    for length in itertools.count(1):
        check_chain(length, tag.token.offset)
        run, last = expressions.filter_call(run)
        if not tag.arguments.take_symbol("|"):
            break
    tag.arguments.finish("'%}'")
    before = len(parser.compiling.printed)
    body, offset = parser.block(tag, "endfilter").write, tag.token.offset
    if last in HARMLESS:
        del parser.compiling.printed[before:]

    def write(scope: Scope) -> str:
        scope.state[place] = body(scope)
        return printed(run(scope), scope, offset, True)

    return write


def parse_spaceless(parser: DocumentParser, tag: Tag) -> Write:
    """`{% spaceless %}<a> <b>{% endspaceless %}`: no white space between HTML tags."""
    tag.arguments.finish("'%}'")
    body = parser.block(tag, "endspaceless").write
    return lambda scope: _BETWEEN_TAGS.sub("", body(scope))


def parse_templatetag(parser: DocumentParser, tag: Tag) -> Write:
    """`{% templatetag openblock %}`: writes the marks of the language."""
    token = tag.arguments.expect(NAME, "a name")
    tag.arguments.finish("'%}'")
    mark = _MARKS.get(token.value)
    if mark is None:
        raise SourceError(f"templatetag knows {', '.join(_MARKS)}, not '{token.value}'", token.offset)
    return lambda scope: mark


def parse_firstof(parser: DocumentParser, tag: Tag) -> Write:
    """`{% firstof a b 'c' %}`: the first that is true."""
    choices = []
    while not tag.arguments.at_end():
        reads = len(parser.compiling.reads)
        choices.append(parser.expressions(tag.arguments).expression())
        parser.compiling.print(choices[-1], reads)

    def write(scope: Scope) -> str:
        for choice in choices:
            value = choice.run(scope)
            if truth(value):
                return printed(value, scope, choice.offset, choice.safe)
        return ""

    return write


def parse_cycle(parser: DocumentParser, tag: Tag) -> Write:
    """`{% cycle 'a' 'b' %}`, `{% cycle 'a' 'b' as name silent %}`, then `{% cycle name %}`."""
    cursor = tag.arguments
    choices: list[Run] = []
    name, silent = "", False
    while not cursor.at_end():
        choices.append(parser.expressions(cursor).expression().run)
        if cursor.take_word(KEYWORD, "as"):
            name = parser.compiling.declare(cursor.expect(NAME, "a name"))
            silent = cursor.take_word(NAME, "silent") is not None
            break
    cursor.finish("'%}'")
    if not choices:
        raise cursor.unexpected("a value")
    return _Cycle(choices, name, silent, tag.token.offset).write


class _Cycle:
    """A cycle tag. How far it is, a rendering remembers in its state."""

    def __init__(self, choices: list[Run], name: str, silent: bool, offset: int) -> None:
        self.choices = choices
        self.name = name
        self.silent = silent
        self.offset = offset

    def next(self, scope: Scope) -> object:
        """The next value."""
        turn = scope.state.get(self, 0)
        scope.state[self] = turn + 1
        return self.choices[turn % len(self.choices)](scope)

    def write(self, scope: Scope) -> str:
        """The tag's text."""
        value = self.next(scope)
        silent = self.silent
        if isinstance(value, CycleValue) and isinstance(value.cycle, _Cycle):
            silent = value.cycle.silent
            value.value = value.cycle.next(scope)
            value = value.value
        elif self.name:
            scope.private[self.name] = CycleValue(self, value)
        try:
            return "" if silent else text(value)
        except REFUSALS as refusal:
            raise placed(refusal, self.offset) from None


def parse_now(parser: DocumentParser, tag: Tag) -> Write:
    """`{% now '2006-01-02' %}`: the time in a Go layout; with `fake` behind it, always the same one."""
    layout = tag.arguments.expect(STRING, "a layout in quotes")
    fake = tag.arguments.take_word(NAME, "fake") is not None
    tag.arguments.finish("'%}'")
    if len(layout.value) > MAX_LAYOUT:
        raise SourceError(f"the layout is too long (more than {MAX_LAYOUT:,} characters)", layout.offset)
    return lambda scope: format_go(_FAKE_NOW if fake else datetime.now(UTC), layout.value)


def parse_widthratio(parser: DocumentParser, tag: Tag) -> Write:
    """`{% widthratio value maximum width %}`, `… as name`: value of maximum, scaled to width, rounded up."""
    expressions = parser.expressions(tag.arguments)
    parts = [expressions.expression().run for _ in range(3)]
    name = ""
    if tag.arguments.take_word(KEYWORD, "as"):
        name = parser.compiling.declare(tag.arguments.expect(NAME, "a name"))
    tag.arguments.finish("'%}'")

    def write(scope: Scope) -> str:
        ratio = _ratio([part(scope) for part in parts], tag.token.offset)
        if not name:
            return str(ratio)
        scope.private[name] = ratio
        return ""

    return write


def _ratio(values: list[object], offset: int) -> int:
    try:
        value, maximum, width = (real(each) for each in values)
        return math.ceil(value / maximum * width + 0.5)
    except ZeroDivisionError:
        raise SourceError("division by zero", offset) from None
    except (RefusedError, OverflowError, ValueError):
        raise SourceError("the number is too large", offset) from None


def parse_lorem(parser: DocumentParser, tag: Tag) -> Write:
    """`{% lorem 3 w %}`: text to fill a page; words (w), HTML paragraphs (p) or paragraphs (b); `random` mixes them."""
    cursor = tag.arguments
    count = cursor.take(NUMBER)
    number = int(count.value[:9]) if count else 1
    if count and number > MAX_LOREM:
        raise SourceError(f"lorem gives at most {MAX_LOREM:,}", count.offset)
    method = cursor.take(NAME)
    if method is not None and method.value not in ("w", "p", "b"):
        raise SourceError(f"lorem knows w, p and b, not '{method.value}'", method.offset)
    mixed = cursor.take_word(NAME, "random") is not None
    cursor.finish("'%}'")
    kind = method.value if method else "b"
    pool = " ".join(PARAGRAPHS).split() if kind == "w" else list(PARAGRAPHS)
    pool = [f"<p>{each}</p>" for each in pool] if kind == "p" else pool
    between = " " if kind == "w" else "\n"

    def write(scope: Scope) -> str:
        chosen = [secrets.choice(pool) if mixed else pool[place % len(pool)] for place in range(number)]
        written = between.join(chosen)
        scope.evaluation.spend(number + (len(written) >> 6), tag.token.offset)
        return written

    return write


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
