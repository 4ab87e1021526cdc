"""Parses a source into a closure that writes its text: plain text, `{{ … }}` and, by their names, `{% … %}`."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from flows.lang.compiling import Compiling, Cursor, Expression, Write
from flows.lang.errors import REFUSALS, SourceError, nearest, placed
from flows.lang.evaluation import CHEAP, Scope
from flows.lang.expressions import ExpressionParser
from flows.lang.filters.html import escape
from flows.lang.lexer import END, NAME, SPACE, Token, end_of_comment, find_opening, read_code
from flows.lang.values import Safe, is_number, text


class Block(NamedTuple):
    """A run of nodes up to an end tag. weight: what one pass over it costs. arguments: what stands in the end tag."""

    write: Write
    weight: int
    end: Token
    arguments: Cursor


class Tag(NamedTuple):
    """A tag in the source: its name and what stands behind the name."""

    token: Token
    arguments: Cursor


TagParser = Callable[["DocumentParser", Tag], Write]

# Tags that read other files (R16).
_FILE_TAGS = frozenset({"extends", "include", "import", "ssi", "block"})
_ENDINGS = frozenset({"else", "elif", "empty"})


class DocumentParser:
    """Reads a source from its start to its end."""

    def __init__(self, compiling: Compiling, tags: Mapping[str, TagParser]) -> None:
        self.compiling = compiling
        self.tags = tags
        self.source = compiling.source
        self.position = 0
        self._trim = False

    def document(self) -> Block:
        """The whole source."""
        return self._block((), None)

    def block(self, tag: Tag, *ends: str) -> Block:
        """What stands between `tag` and the first of the end tags."""
        with self.compiling.deeper(tag.token.offset):
            return self._block(ends, tag)

    def expressions(self, cursor: Cursor) -> ExpressionParser:
        """A parser for the expressions at the cursor."""
        return ExpressionParser(self.compiling, cursor)

    def _block(self, ends: Sequence[str], opened_by: Tag | None) -> Block:
        nodes: list[Write] = []
        before, begin = self.compiling.weight, self.position
        while True:
            mark, start = find_opening(self.source, self.position)
            self._plain_text(nodes, start, mark.endswith("-"))
            if not mark:
                break
            if mark == "{#":
                self.position = end_of_comment(self.source, start)
                continue
            if mark[:2] == "{{":
                nodes.append(self._output(start, len(mark)))
                continue
            tag = self._tag(start, len(mark))
            if tag.token.value in ends:
                return self._finished(nodes, before, begin, tag)
            nodes.append(self._parse_tag(tag, ends))
        if opened_by is not None:
            raise SourceError(
                f"'{opened_by.token.value}' is not closed: {_wanted(ends)} expected", opened_by.token.offset
            )
        end = Token(END, "", len(self.source))
        return self._finished(nodes, before, begin, Tag(end, Cursor([end])))

    def _finished(self, nodes: list[Write], before: int, start: int, end: Tag) -> Block:
        weight = self.compiling.weight - before + len(nodes) + 1
        return Block(joined(nodes, start), weight, end.token, end.arguments)

    def _plain_text(self, nodes: list[Write], end: int, trim_end: bool) -> None:
        plain = self.source[self.position : end]
        if plain:
            plain = plain.lstrip(SPACE) if self._trim else plain
            plain = plain.rstrip(SPACE) if trim_end else plain
            self._trim = False
        if plain:
            nodes.append(lambda scope: plain)
        self.position = end

    def _output(self, start: int, mark: int) -> Write:
        cursor, reads = self._read(start, mark, "}}"), len(self.compiling.reads)
        expression = self.expressions(cursor).expression()
        cursor.finish("'}}'")
        self.compiling.print(expression, reads)
        return output(expression)

    def _read(self, start: int, mark: int, closing: str) -> Cursor:
        code = read_code(self.source, start + mark)
        self.compiling.count(code.tokens)
        if not code.closing.endswith(closing):
            raise SourceError(f"'{closing}' expected, not '{code.closing}'", code.tokens[-1].offset)
        self.position = code.end
        self._trim = code.closing.startswith("-")
        return Cursor(code.tokens)

    def _tag(self, start: int, mark: int) -> Tag:
        cursor = self._read(start, mark, "%}")
        return Tag(cursor.expect(NAME, "the name of a tag"), cursor)

    def _parse_tag(self, tag: Tag, ends: Sequence[str]) -> Write:
        name = tag.token.value
        parse = self.tags.get(name)
        if parse is not None:
            return parse(self, tag)
        if name in _FILE_TAGS:
            raise SourceError(f"the tag '{name}' is not available: templates cannot read files", tag.token.offset)
        if name in _ENDINGS or name.startswith("end"):
            expected = f": {_wanted(ends)} expected" if ends else ""
            raise SourceError(f"'{name}' closes nothing here{expected}", tag.token.offset)
        raise SourceError(f"there is no tag '{name}'", tag.token.offset, nearest(name, self.tags))

    def raw_until(self, tag: Tag, end: str) -> str:
        """The source up to `{% end %}`, not parsed; goes on behind it."""
        start = position = self.position
        while (position := self.source.find("{%", position)) >= 0:
            body = self.source[position + 2 : position + 2 + 40 + len(end)]
            inside, closed, _ = body.partition("%}")
            if closed and inside.strip(SPACE + "-") == end:
                self.position = position + 2 + len(inside) + 2
                self._trim = inside.endswith("-")
                return self.source[start:position]
            position += 2
        raise SourceError(f"'{tag.token.value}' is not closed: '{end}' expected", tag.token.offset)


def _wanted(ends: Sequence[str]) -> str:
    return " or ".join(f"'{end}'" for end in ends)


def joined(nodes: Sequence[Write], offset: int) -> Write:
    """The nodes one after the other; `offset`: where they begin."""
    if not nodes:
        return lambda scope: ""
    if len(nodes) == 1:
        return nodes[0]
    writers = tuple(nodes)

    def write_all(scope: Scope) -> str:
        parts = [write(scope) for write in writers]
        if sum(map(len, parts)) > scope.evaluation.limits.text:
            raise SourceError(f"the text gets too long (more than {scope.evaluation.limits.text:,} characters)", offset)
        return "".join(parts)

    return write_all


def output(expression: Expression) -> Write:
    """`{{ … }}`."""
    run, offset, marked_safe = expression.run, expression.offset, expression.safe

    def write(scope: Scope) -> str:
        value = run(scope)
        if type(value) is str and not scope.autoescape:
            return value
        return printed(value, scope, offset, marked_safe)

    return write


def printed(value: object, scope: Scope, offset: int, marked_safe: bool) -> str:
    """The value's text, escaped where that is on."""
    try:
        found = text(value)
    except REFUSALS as refusal:
        raise placed(refusal, offset) from None
    if len(found) > CHEAP:
        scope.evaluation.spend(len(found) >> 6, offset)
    if scope.autoescape and not marked_safe and not isinstance(value, Safe) and not is_number(value):
        return escape(found)
    return found
