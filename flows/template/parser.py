"""A parser that compiles a source to a closure that renders it: plain text, `{{ … }}` and `{% … %}` tags."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from flows.template.compilation import CompilationState, Expression, RenderFunc, TokenStream
from flows.template.errors import OPERATION_ERRORS, LocatedError, find_closest_name, locate_error
from flows.template.expressions import ExpressionParser
from flows.template.filters.html import escape_html
from flows.template.hints import explain_conditional
from flows.template.lexer import (
    END,
    NAME,
    WHITESPACE,
    TemplateToken,
    find_comment_end,
    find_opening_delimiter,
    tokenize_code,
)
from flows.template.runtime.render_context import MAX_UNCHARGED_SIZE, Scope
from flows.template.runtime.values import SafeText, is_number, to_text
from flows.template.shape import ANY_TEXT, AnyText, Choice, Shape


class Block(NamedTuple):
    """Nodes up to an end tag. cost: the cost of one pass over it. arguments: the arguments of the end tag."""

    render: RenderFunc
    cost: int
    end_token: TemplateToken
    arguments: TokenStream
    shape: Shape


class Tag(NamedTuple):
    """A tag in the source: its name and the tokens after the name."""

    token: TemplateToken
    arguments: TokenStream


TagParser = Callable[["TemplateParser", Tag], RenderFunc]

# Tags that read other files (R16).
_FILE_READING_TAGS = frozenset({"extends", "include", "import", "ssi", "block"})
# Tags that render one of their blocks, all of it, or nothing; the output of others can be any text.
_CHOICE_TAGS = frozenset({"if", "ifequal", "ifnotequal", "with", "autoescape"})
_SILENT_TAGS = frozenset({"append", "comment", "macro", "set"})
_BRANCH_TAGS = frozenset({"else", "elif", "empty"})


class TemplateParser:
    """A parser of one source from start to end."""

    def __init__(self, compilation: CompilationState, tags: Mapping[str, TagParser]) -> None:
        self.compilation = compilation
        self.tags = tags
        self.source = compilation.source
        self.position = 0
        self._trims_start = False
        # The blocks of each tag that is being parsed, and the shape of each block that is being parsed.
        self._blocks: list[list[Block]] = []
        self._shapes: list[list[str | Choice | AnyText]] = []

    def parse_template(self) -> Block:
        """Parse the whole source."""
        return self._parse_nodes((), None)

    def parse_block(self, tag: Tag, *end_tags: str) -> Block:
        """Parse the source between `tag` and the first of the end tags."""
        with self.compilation.nested(tag.token.offset):
            block = self._parse_nodes(end_tags, tag)
        self._blocks[-1].append(block)
        return block

    def make_expression_parser(self, stream: TokenStream) -> ExpressionParser:
        """Return a parser for the expressions in the stream."""
        return ExpressionParser(self.compilation, stream)

    def _parse_nodes(self, end_tags: Sequence[str], opening_tag: Tag | None) -> Block:
        nodes: list[RenderFunc] = []
        cost_before, block_start = self.compilation.cost, self.position
        self._shapes.append([])
        while True:
            delimiter, start = find_opening_delimiter(self.source, self.position)
            self._append_text(nodes, start, delimiter.endswith("-"))
            if not delimiter:
                break
            if delimiter == "{#":
                self.position = find_comment_end(self.source, start)
                continue
            if delimiter[:2] == "{{":
                nodes.append(self._parse_output(start, len(delimiter)))
                continue
            tag = self._read_tag(start, len(delimiter))
            if tag.token.value in end_tags:
                return self._make_block(nodes, cost_before, block_start, tag)
            nodes.append(self._parse_tag(tag, end_tags))
        if opening_tag is not None:
            raise LocatedError(
                f"'{opening_tag.token.value}' is not closed: expected {_format_alternatives(end_tags)}",
                opening_tag.token.offset,
            )
        end_token = TemplateToken(END, "", len(self.source))
        return self._make_block(nodes, cost_before, block_start, Tag(end_token, TokenStream([end_token], self.source)))

    def _make_block(self, nodes: list[RenderFunc], cost_before: int, start: int, end_tag: Tag) -> Block:
        cost = self.compilation.cost - cost_before + len(nodes) + 1
        return Block(join_nodes(nodes, start), cost, end_tag.token, end_tag.arguments, tuple(self._shapes.pop()))

    def _append_text(self, nodes: list[RenderFunc], end: int, trim_end: bool) -> None:
        text = self.source[self.position : end]
        if text:
            text = text.lstrip(WHITESPACE) if self._trims_start else text
            text = text.rstrip(WHITESPACE) if trim_end else text
            self._trims_start = False
        if text:
            nodes.append(lambda scope: text)
            self._shapes[-1].append(text)
        self.position = end

    def _parse_output(self, start: int, delimiter_length: int) -> RenderFunc:
        stream, first_reference = self._tokenize(start, delimiter_length, "}}"), len(self.compilation.references)
        expression = self.make_expression_parser(stream).parse_expression()
        if stream.current.kind == NAME and stream.current.value == "if":
            code = self.source[start + delimiter_length : stream.tokens[-1].offset]
            raise LocatedError(f"expected '}}}}', found 'if': {explain_conditional(code)}", stream.current.offset)
        stream.expect_end("'}}'")
        self.compilation.record_output(expression, first_reference)
        self._shapes[-1].append(ANY_TEXT)
        return compile_output(expression)

    def _tokenize(self, start: int, delimiter_length: int, closing_delimiter: str) -> TokenStream:
        code = tokenize_code(self.source, start + delimiter_length)
        self.compilation.count_tokens(code.tokens)
        if not code.closing_delimiter.endswith(closing_delimiter):
            raise LocatedError(
                f"expected '{closing_delimiter}', found '{code.closing_delimiter}'", code.tokens[-1].offset
            )
        self.position = code.end
        self._trims_start = code.closing_delimiter.startswith("-")
        return TokenStream(code.tokens, self.source)

    def _read_tag(self, start: int, delimiter_length: int) -> Tag:
        stream = self._tokenize(start, delimiter_length, "%}")
        return Tag(stream.expect(NAME, "the name of a tag"), stream)

    def _parse_tag(self, tag: Tag, end_tags: Sequence[str]) -> RenderFunc:
        name = tag.token.value
        parse_tag = self.tags.get(name)
        if parse_tag is not None:
            self._blocks.append([])
            render = parse_tag(self, tag)
            self._append_tag_shape(name, self._blocks.pop())
            return render
        if name in _FILE_READING_TAGS:
            raise LocatedError(f"tag '{name}' is not available: templates cannot read files", tag.token.offset)
        if name in _BRANCH_TAGS or name.startswith("end"):
            expected = f": expected {_format_alternatives(end_tags)}" if end_tags else ""
            raise LocatedError(f"'{name}' has no matching opening tag{expected}", tag.token.offset)
        raise LocatedError(f"unknown tag '{name}'", tag.token.offset, find_closest_name(name, self.tags))

    def _append_tag_shape(self, name: str, blocks: list[Block]) -> None:
        if name in _CHOICE_TAGS:
            is_conditional = name not in ("with", "autoescape")
            has_else = any(block.end_token.value == "else" for block in blocks)
            choice = Choice(tuple(block.shape for block in blocks), is_conditional and not has_else)
            self._shapes[-1].append(choice)
        elif name not in _SILENT_TAGS:
            self._shapes[-1].append(ANY_TEXT)

    def read_raw_until(self, tag: Tag, end_tag: str) -> str:
        """Return the source up to `{% end_tag %}` without parsing it, and continue after that tag."""
        start = position = self.position
        while (position := self.source.find("{%", position)) >= 0:
            candidate = self.source[position + 2 : position + 2 + 40 + len(end_tag)]
            tag_body, delimiter, _ = candidate.partition("%}")
            if delimiter and tag_body.strip(WHITESPACE + "-") == end_tag:
                self.position = position + 2 + len(tag_body) + 2
                self._trims_start = tag_body.endswith("-")
                return self.source[start:position]
            position += 2
        raise LocatedError(f"'{tag.token.value}' is not closed: expected '{end_tag}'", tag.token.offset)


def _format_alternatives(end_tags: Sequence[str]) -> str:
    names = [f"'{end_tag}'" for end_tag in end_tags]
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def join_nodes(nodes: Sequence[RenderFunc], offset: int) -> RenderFunc:
    """Combine the nodes to one; `offset`: their start, for errors."""
    if not nodes:
        return lambda scope: ""
    if len(nodes) == 1:
        return nodes[0]
    renderers = tuple(nodes)

    def render_all(scope: Scope) -> str:
        parts = [render(scope) for render in renderers]
        if sum(map(len, parts)) > scope.render_context.limits.text_length:
            raise LocatedError(
                f"text is too long (more than {scope.render_context.limits.text_length:,} characters)", offset
            )
        return "".join(parts)

    return render_all


def compile_output(expression: Expression) -> RenderFunc:
    """Compile `{{ … }}`."""
    evaluate, offset, is_safe = expression.evaluate, expression.offset, expression.is_safe

    def render(scope: Scope) -> str:
        value = evaluate(scope)
        if type(value) is str and not scope.autoescape:
            return value
        return render_value(value, scope, offset, is_safe)

    return render


def render_value(value: object, scope: Scope, offset: int, is_safe: bool) -> str:
    """Return the value's text, escaped if autoescape is on."""
    try:
        rendered = to_text(value)
    except OPERATION_ERRORS as error:
        raise locate_error(error, offset) from None
    if len(rendered) > MAX_UNCHARGED_SIZE:
        scope.render_context.charge(len(rendered) >> 6, offset)
    if scope.autoescape and not is_safe and not isinstance(value, SafeText) and not is_number(value):
        return escape_html(rendered)
    return rendered
