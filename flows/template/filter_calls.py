"""A parser of filters with their arguments; `expressions` parses everything else."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from flows.template.closures import compile_filter, compile_negation, make_constant
from flows.template.compilation import CompilationState, Expression, ExpressionFunc, TokenStream
from flows.template.errors import LocatedError, OperationError, find_closest_name
from flows.template.filters import FILTERS
from flows.template.filters.base import Filter, FilterFunc
from flows.template.hints import MAX_HINT_LENGTH
from flows.template.lexer import NAME, NUMBER, STRING, SYMBOL, TemplateToken, read_string_with_line_breaks
from flows.template.limits import MAX_CHAIN_LENGTH

# The result is a number, a boolean, a word that the template itself contains, or quoted.
SHELL_SAFE_FILTERS = frozenset(
    (
        "shellquote", "integer", "float", "length", "length_is", "wordcount", "divisibleby", "floatformat", "get_digit",
        "match", "matchesCron", "slugify", "pluralize", "yesno", "duration", "sha256", "version",
    )
)  # fmt: skip
# In their argument, a backslash has another meaning: `\n` in a pattern, and the letter n in Django's formats.
_BACKSLASH_FILTERS = frozenset(("date", "extractMatch", "match", "time"))


class FilterCallParser(ABC):
    """A parser of the filters in one token stream."""

    __slots__ = ("compilation", "stream")

    def __init__(self, compilation: CompilationState, stream: TokenStream) -> None:
        self.compilation = compilation
        self.stream = stream

    @abstractmethod
    def parse_operand(self) -> Expression:
        """Parse a literal, a variable with its keys and calls, or an expression in parentheses; no filters."""

    def parse_filter_call(self, evaluate: ExpressionFunc) -> tuple[ExpressionFunc, str]:
        """Parse `name` or `name:argument` after a `|`, applied to `evaluate`; return the result and the name."""
        token = self.stream.expect(NAME, "the name of a filter")
        template_filter = get_filter(FILTERS, token)
        if self.stream.current.kind == SYMBOL and self.stream.current.value == "(":
            raise LocatedError(
                f"a filter takes its argument after a colon: write {token.value}{self._read_argument_source()}",
                self.stream.current.offset,
            )
        argument = None
        if self.stream.accept_symbol(":"):
            if self.stream.is_at_end():
                raise self.stream.make_unexpected_token_error(f"an argument for the filter '{token.value}'")
            argument = self._parse_filter_argument(with_line_breaks=token.value not in _BACKSLASH_FILTERS)
        if template_filter.takes_two_arguments:
            argument = self._parse_second_argument(argument, token)
        if template_filter.bind_argument is not None and argument is not None and argument.is_constant:
            return self._bind_filter(
                template_filter, template_filter.bind_argument, evaluate, argument, token
            ), token.value
        return compile_filter(
            template_filter, evaluate, argument.evaluate if argument else None, token.offset
        ), token.value

    def _parse_second_argument(self, first: Expression | None, token: TemplateToken) -> Expression:
        """Parse `:second` after `name:first`; return the expression of both values."""
        if first is None or not self.stream.accept_symbol(":"):
            name = token.value
            hint = self.stream.explain_current()
            raise LocatedError(
                f"filter '{name}' takes two arguments: {name}:'old':'new'{hint}", self.stream.current.offset
            )
        evaluate_first = first.evaluate
        evaluate_second = self._parse_filter_argument(with_line_breaks=True).evaluate
        return Expression(lambda scope: (evaluate_first(scope), evaluate_second(scope)), first.offset)

    def _bind_filter(
        self,
        template_filter: Filter,
        bind_argument: Callable[[object], FilterFunc],
        evaluate: ExpressionFunc,
        argument: Expression,
        token: TemplateToken,
    ) -> ExpressionFunc:
        try:
            apply = bind_argument(argument.value)
        except OperationError as error:
            raise LocatedError(str(error), argument.offset) from None
        return compile_filter(
            Filter(template_filter.name, apply, template_filter.is_per_character), evaluate, None, token.offset
        )

    def _read_argument_source(self) -> str:
        """Return `:` and the single token in the parentheses that begin here, or `:argument`; '' if they are empty."""
        _, argument, closing = (self.stream.tokens[self.stream.index :] + [self.stream.tokens[-1]] * 2)[:3]
        if argument.value == ")" and argument.kind == SYMBOL:
            return ""
        if argument.kind not in (STRING, NUMBER, NAME) or closing.value != ")":
            return ":argument"
        text = self.compilation.source[argument.offset : closing.offset].strip()
        return f":{text}" if len(text) <= MAX_HINT_LENGTH else ":argument"

    def _parse_filter_argument(self, *, with_line_breaks: bool) -> Expression:
        literal = self.stream.current
        if literal.kind == STRING and with_line_breaks:
            self.stream.index += 1
            value = read_string_with_line_breaks(self.compilation.source, literal.offset)
            return make_constant(value, literal.offset)
        token = self.stream.accept_symbol("-", "+")
        operand = self.parse_operand()
        if token is None or token.value == "+":
            return operand
        return Expression(compile_negation(operand.evaluate, token.offset), token.offset)


def check_chain_length(chain_length: int, offset: int) -> None:
    """Raise LocatedError if a chain of filters or calls is too long."""
    if chain_length > MAX_CHAIN_LENGTH:
        raise LocatedError(f"too many filters or calls in one chain (more than {MAX_CHAIN_LENGTH})", offset)


def get_filter(filters: Mapping[str, Filter], token: TemplateToken) -> Filter:
    """Return the filter that the token names. Raises LocatedError with the closest name."""
    template_filter = filters.get(token.value)
    if template_filter is None:
        raise LocatedError(f"unknown filter '{token.value}'", token.offset, find_closest_name(token.value, filters))
    return template_filter
