"""Parses expressions, into closures that are called with a scope.

Loosest first: `and or` (grouping to the right), the word `not`, comparisons (to the right), `+ -`, `* / %`,
`^` (to the right), and a value with its dots and filters. A sign or `!` stands only before the first term of a sum.
"""

from collections.abc import Callable, Mapping

from flows.lang.compiling import LITERALS, Compiling, Cursor, Expression, Run
from flows.lang.errors import RefusedError, SourceError, nearest
from flows.lang.filters import FILTERS
from flows.lang.filters.base import Apply, Filter
from flows.lang.lexer import KEYWORD, NAME, NUMBER, STRING, SYMBOL, Token
from flows.lang.limits import MAX_CHAIN, MAX_DIGITS
from flows.lang.operands import (
    call_of_function,
    call_of_name,
    chain_of_logic,
    constant,
    continued,
    filtered,
    folded_left,
    folded_right,
    negated,
    path,
    sign,
    variable,
    watched,
)
from flows.lang.operators import ADDITIONS, COMPARISONS, MULTIPLICATIONS, power

# What comes out of these is a number, a boolean, one of the template's own words, or quoted.
HARMLESS = frozenset(
    (
        "shellquote", "integer", "float", "length", "length_is", "wordcount", "divisibleby", "floatformat", "get_digit",
        "match", "matchesCron", "slugify", "pluralize", "yesno",
    )
)  # fmt: skip
# What comes out of these is the operator's own, or letters and digits, whatever goes in.
_HARMLESS_FUNCTIONS = frozenset(("base64Encode", "datastore", "randomAlpha", "randomInt"))
_LOGIC = {"and": True, "&&": True, "or": False, "||": False}


class ExpressionParser:
    """Reads expressions at a cursor."""

    __slots__ = ("compiling", "cursor")

    def __init__(self, compiling: Compiling, cursor: Cursor) -> None:
        self.compiling = compiling
        self.cursor = cursor

    def expression(self) -> Expression:
        """One whole expression."""
        first = self._negation()
        token = self.cursor.current
        if token.value not in _LOGIC or token.kind not in (KEYWORD, SYMBOL):
            return first
        operands, operators = [first], []
        while token.value in _LOGIC and token.kind in (KEYWORD, SYMBOL):
            self.cursor.index += 1
            operators.append(token)
            operands.append(self._negation())
            token = self.cursor.current
        self._warn_of_mixture(operators)
        run = chain_of_logic([each.run for each in operands], [_LOGIC[each.value] for each in operators])
        return Expression(run, first.offset, all(each.safe for each in operands), harmless=True)

    def _warn_of_mixture(self, operators: list[Token]) -> None:
        kinds = {_LOGIC[each.value] for each in operators}
        if len(kinds) == 2:
            first = operators[0]
            other = next(each for each in operators if _LOGIC[each.value] is not _LOGIC[first.value])
            message = f"'{first.value}' and '{other.value}' are mixed and group to the right: use parentheses"
            self.compiling.warn(message, other.offset)

    def _negation(self) -> Expression:
        token = self.cursor.take_word(KEYWORD, "not")
        if token is None:
            return self._comparison()
        times = 1
        while self.cursor.take_word(KEYWORD, "not"):
            times += 1
        operand = self._comparison()
        return Expression(negated(operand.run, times), token.offset, operand.safe, harmless=True)

    def _comparison(self) -> Expression:
        first = self._sum()
        operator = self._comparator()
        if operator is None:
            return first
        operands, operations, offsets = [first], [], []
        while operator is not None:
            word, offset = operator
            operations.append(COMPARISONS[word])
            offsets.append(offset)
            if self._at_not():
                operands.append(self._inner_negation(offset))
                break
            operands.append(self._sum())
            operator = None if word in ("in", "not in") else self._comparator()
        run = folded_right([each.run for each in operands], operations, offsets)
        return Expression(run, first.offset, all(each.safe for each in operands), harmless=True)

    def _at_not(self) -> bool:
        return self.cursor.current.kind == KEYWORD and self.cursor.current.value == "not"

    def _inner_negation(self, offset: int) -> Expression:
        self.compiling.enter(offset)
        operand = self._negation()
        self.compiling.leave()
        return operand

    def _comparator(self) -> tuple[str, int] | None:
        token = self.cursor.current
        if token.kind == SYMBOL and token.value in COMPARISONS:
            self.cursor.index += 1
            return token.value, token.offset
        if token.kind != KEYWORD:
            return None
        if token.value == "in":
            self.cursor.index += 1
            return "in", token.offset
        following = self.cursor.tokens[self.cursor.index + 1]
        if token.value == "not" and following.kind == KEYWORD and following.value == "in":
            self.cursor.index += 2
            return "not in", token.offset
        return None

    def _sum(self) -> Expression:
        cursor, token = self.cursor, self.cursor.current
        signed = token.kind == SYMBOL and token.value in ("+", "-", "!")
        first = self._signed(token) if signed else self._product()
        operands, operations, offsets = [first], [], []
        while operator := cursor.take_symbol("+", "-"):
            operands.append(self._product())
            operations.append(ADDITIONS[operator.value])
            offsets.append(operator.offset)
        if not operations:
            return first
        run = folded_left([each.run for each in operands], operations, offsets)
        harmless = all(each.harmless for each in operands)
        return Expression(run, first.offset, all(each.safe for each in operands), harmless=harmless)

    def _signed(self, token: Token) -> Expression:
        minus = False
        if token.value != "!":
            self.cursor.index += 1
            minus = token.value == "-"
        negate = self.cursor.take_symbol("!") is not None
        operand = self._product()
        run = negated(operand.run, 1) if negate else operand.run
        return Expression(sign(run, token.offset) if minus else run, token.offset, operand.safe)

    def _product(self) -> Expression:
        first = self._power()
        if self.cursor.current.kind != SYMBOL or self.cursor.current.value not in MULTIPLICATIONS:
            return first
        operands, operations, offsets = [first], [], []
        while operator := self.cursor.take_symbol("*", "/", "%"):
            operands.append(self._power())
            operations.append(MULTIPLICATIONS[operator.value])
            offsets.append(operator.offset)
        run = folded_left([each.run for each in operands], operations, offsets)
        return Expression(run, first.offset, all(each.safe for each in operands), harmless=True)

    def _power(self) -> Expression:
        first = self._filtered()
        if self.cursor.current.value != "^" or self.cursor.current.kind != SYMBOL:
            return first
        operands, offsets = [first], []
        while operator := self.cursor.take_symbol("^"):
            operands.append(self._filtered())
            offsets.append(operator.offset)
        run = folded_right([each.run for each in operands], [power] * len(offsets), offsets)
        return Expression(run, first.offset, all(each.safe for each in operands))

    def _filtered(self) -> Expression:
        operand = self.operand()
        token = self.cursor.current
        if token.kind != SYMBOL or token.value != "|":
            return operand
        run, safe, length, name = operand.run, operand.safe, 0, ""
        while bar := self.cursor.take_symbol("|"):
            run, name = self.filter_call(run)
            safe = safe or name == "safe"
            length += 1
            check_chain(length, bar.offset)
        return Expression(run, operand.offset, safe, harmless=name in HARMLESS)

    def filter_call(self, run: Run) -> tuple[Run, str]:
        """Reads `name` or `name:argument` behind a `|`, applied to `run`. Gives the result and the filter's name."""
        token = self.cursor.expect(NAME, "the name of a filter")
        found = find_filter(FILTERS, token)
        argument = None
        if self.cursor.take_symbol(":"):
            if self.cursor.at_end():
                raise self.cursor.unexpected(f"an argument for the filter '{token.value}'")
            argument = self._filter_argument()
        if found.prepare is not None and argument is not None and argument.constant:
            return self._prepared(found, found.prepare, run, argument, token), token.value
        return filtered(found, run, argument.run if argument else None, token.offset), token.value

    def _prepared(
        self, found: Filter, prepare: Callable[[object], Apply], run: Run, argument: Expression, token: Token
    ) -> Run:
        try:
            apply = prepare(argument.value)
        except RefusedError as fault:
            raise SourceError(str(fault), argument.offset) from None
        return filtered(Filter(found.name, apply, found.slow), run, None, token.offset)

    def _filter_argument(self) -> Expression:
        token = self.cursor.take_symbol("-", "+")
        operand = self.operand()
        if token is None or token.value == "+":
            return operand
        return Expression(sign(operand.run, token.offset), token.offset)

    def operand(self) -> Expression:
        """A literal, a variable with its dots and calls, or an expression in parentheses; no filters."""
        cursor = self.cursor
        token = cursor.current
        if token.kind == NAME:
            cursor.index += 1
            if token.value in LITERALS:
                return self._literal_name(token)
            found = self._variable(token)
            return self._watched(found, token) if self.compiling.watching else found
        if token.kind == STRING:
            cursor.index += 1
            return constant(token.value, token.offset)
        if token.kind == NUMBER:
            cursor.index += 1
            return self._number(token)
        if token.kind == KEYWORD and token.value in ("true", "false"):
            cursor.index += 1
            return constant(token.value == "true", token.offset)
        if token.kind == KEYWORD:
            raise SourceError(f"the word '{token.value}' is not allowed here", token.offset)
        if cursor.take_symbol("("):
            return self._parentheses(token)
        if token.kind == SYMBOL and token.value in ("-", "+", "!"):
            raise SourceError(f"'{token.value}' may only begin an expression: use parentheses", token.offset)
        raise cursor.unexpected("a value")

    def _watched(self, found: Expression, token: Token) -> Expression:
        """The same, telling what was looked up, unless by a name that the template gave itself."""
        if token.value in self.compiling.declared or token.value == "forloop":
            return found
        source = self.compiling.source[token.offset : self.cursor.current.offset].rstrip()
        return found._replace(run=watched(found.run, source))

    def _literal_name(self, token: Token) -> Expression:
        value = LITERALS[token.value]
        if value is None and self.cursor.current.value in (".", "(") and self.cursor.current.kind == SYMBOL:
            return self._continued(constant(None, token.offset))
        return constant(value, token.offset)

    def _number(self, token: Token) -> Expression:
        if len(token.value) > MAX_DIGITS:
            raise SourceError(f"the number has too many digits (more than {MAX_DIGITS:,})", token.offset)
        if not self.cursor.take_symbol("."):
            return constant(int(token.value), token.offset)
        digits = self.cursor.expect(NUMBER, "digits after the '.'")
        if len(digits.value) > MAX_DIGITS:
            raise SourceError(f"the number has too many digits (more than {MAX_DIGITS:,})", digits.offset)
        value = float(f"{token.value}.{digits.value}")
        if value == float("inf"):
            raise SourceError("the number is too large for a decimal number", token.offset)
        return constant(value, token.offset)

    def _parentheses(self, token: Token) -> Expression:
        self.compiling.enter(token.offset)
        inner = self.expression()
        self.cursor.expect_symbol(")", "')'")
        self.compiling.leave()
        if self.cursor.current.kind == SYMBOL and self.cursor.current.value == ".":
            return self._continued(inner)
        return inner

    def _variable(self, token: Token) -> Expression:
        self.compiling.use(token.value, token.offset)
        keys = self._keys()
        self.compiling.read(token.value, keys[0][0] if keys else None, token.offset)
        if self.cursor.current.kind == SYMBOL and self.cursor.current.value == "(":
            return self._call(token, keys)
        function = self.compiling.functions.get(token.value)
        if function is not None:
            called = call_of_function(function, [], token.offset)
            return self._dotted(called, token, keys)
        if token.value in self.compiling.declared or not keys:
            return self._dotted(variable(token.value, token.offset), token, keys)
        return Expression(path(token.value, keys), token.offset)

    def _dotted(self, run: Run, token: Token, keys: list[tuple[str | int, int]]) -> Expression:
        return Expression(continued(run, keys, None) if keys else run, token.offset)

    def _call(self, token: Token, keys: list[tuple[str | int, int]]) -> Expression:
        reads = len(self.compiling.reads)
        arguments = self._arguments()
        if token.value in _HARMLESS_FUNCTIONS:
            del self.compiling.reads[reads:]
        function = self.compiling.functions.get(token.value)
        if keys:
            base = call_of_function(function, [], token.offset) if function else variable(token.value, token.offset)
            run = continued(base, keys, arguments)
        elif function is not None:
            run = call_of_function(function, arguments, token.offset)
        else:
            run = call_of_name(token.value, arguments, token.offset)
        return self._continued(Expression(run, token.offset))

    def _continued(self, expression: Expression) -> Expression:
        """Dots and calls behind something in parentheses or behind a call."""
        run, length = expression.run, 0
        while self.cursor.current.kind == SYMBOL and self.cursor.current.value in (".", "("):
            length += 1
            check_chain(length, self.cursor.current.offset)
            if self.cursor.current.value == "(":
                raise SourceError("only a name can be called", self.cursor.current.offset)
            keys = self._keys()
            calls = self.cursor.current.kind == SYMBOL and self.cursor.current.value == "("
            run = continued(run, keys, self._arguments() if calls else None)
        return Expression(run, expression.offset, expression.safe)

    def _keys(self) -> list[tuple[str | int, int]]:
        keys: list[tuple[str | int, int]] = []
        while self.cursor.take_symbol("."):
            token = self.cursor.current
            if token.kind == NAME:
                keys.append((token.value, token.offset))
            elif token.kind == NUMBER and len(token.value) < 19:
                keys.append((int(token.value), token.offset))
            else:
                raise self.cursor.unexpected("a name or a number after the '.'")
            self.cursor.index += 1
        return keys

    def _arguments(self) -> list[Run]:
        opening = self.cursor.expect_symbol("(", "'('")
        self.compiling.enter(opening.offset)
        arguments: list[Run] = []
        while not self.cursor.take_symbol(")"):
            arguments.append(self.expression().run)
            if self.cursor.take_symbol(")"):
                break
            self.cursor.expect_symbol(",", "',' or ')'")
        self.compiling.leave()
        return arguments


def check_chain(length: int, offset: int) -> None:
    """Raises SourceError for a chain of filters or calls that is too long."""
    if length > MAX_CHAIN:
        raise SourceError(f"too many filters or calls in one chain (more than {MAX_CHAIN})", offset)


def find_filter(filters: Mapping[str, Filter], token: Token) -> Filter:
    """The filter that the token names. Raises SourceError with the nearest name."""
    found = filters.get(token.value)
    if found is None:
        raise SourceError(f"there is no filter '{token.value}'", token.offset, nearest(token.value, filters))
    return found
