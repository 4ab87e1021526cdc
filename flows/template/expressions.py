"""A parser of expressions, which compiles them to closures over a scope.

Loosest first: `and or` (grouping to the right), the word `not`, comparisons (to the right), `+ -`, `* / %`, `^` (to the
right), and a value with its keys and filters. A sign or `!` is allowed only before the first term of a sum.
"""

from flows.template.closures import (
    add_hint_to_errors,
    compile_function_call,
    compile_logical_chain,
    compile_lookups,
    compile_name_call,
    compile_negation,
    compile_not,
    compile_variable,
    fold_left,
    fold_right,
    make_constant,
    track_reads,
    warn_about_none,
)
from flows.template.compilation import LITERALS, Expression, ExpressionFunc
from flows.template.errors import LocatedError
from flows.template.filter_calls import SHELL_SAFE_FILTERS, FilterCallParser, check_chain_length
from flows.template.hints import explain_unexpected
from flows.template.lexer import (
    KEYWORD,
    NAME,
    NUMBER,
    STRING,
    SYMBOL,
    TemplateToken,
)
from flows.template.limits import MAX_DIGITS
from flows.template.runtime.operators import ADDITIONS, COMPARISONS, MULTIPLICATIONS, OperatorFunc, raise_to_power
from flows.template.runtime.resolve import compile_path

# The result comes from the operator, or consists of letters and digits, for any input.
_SHELL_SAFE_FUNCTIONS = frozenset(("base64Encode", "datastore", "randomAlpha", "randomInt", "range"))
_LOGICAL_OPERATORS = {"and": True, "&&": True, "or": False, "||": False}


class ExpressionParser(FilterCallParser):
    """A parser of the expressions in one token stream."""

    __slots__ = ()

    def parse_expression(self) -> Expression:
        """Parse one whole expression."""
        first = self._parse_not()
        token = self.stream.current
        if token.value not in _LOGICAL_OPERATORS or token.kind not in (KEYWORD, SYMBOL):
            return first
        operands, operators = [first], []
        while token.value in _LOGICAL_OPERATORS and token.kind in (KEYWORD, SYMBOL):
            self.stream.index += 1
            operators.append(token)
            operands.append(self._parse_not())
            token = self.stream.current
        self._warn_about_mixed_operators(operators)
        evaluate = compile_logical_chain(
            [item.evaluate for item in operands], [_LOGICAL_OPERATORS[item.value] for item in operators]
        )
        return Expression(evaluate, first.offset, all(item.is_safe for item in operands), is_shell_safe=True)

    def _warn_about_mixed_operators(self, operators: list[TemplateToken]) -> None:
        conjunctions = {_LOGICAL_OPERATORS[operator.value] for operator in operators}
        if len(conjunctions) == 2:
            first = operators[0]
            conflicting = next(
                operator
                for operator in operators
                if _LOGICAL_OPERATORS[operator.value] is not _LOGICAL_OPERATORS[first.value]
            )
            message = (
                f"'{first.value}' and '{conflicting.value}' are mixed without parentheses; they group to the right"
            )
            self.compilation.add_warning(message, conflicting.offset)

    def _parse_not(self) -> Expression:
        token = self.stream.accept_word(KEYWORD, "not")
        if token is None:
            return self._parse_comparison()
        count = 1
        while self.stream.accept_word(KEYWORD, "not"):
            count += 1
        operand = self._parse_comparison()
        return Expression(compile_not(operand.evaluate, count), token.offset, operand.is_safe, is_shell_safe=True)

    def _parse_comparison(self) -> Expression:
        first = self._parse_sum()
        operator = self._accept_comparison_operator()
        if operator is None:
            return first
        operands, operations, offsets = [first], [], []
        while operator is not None:
            symbol, offset = operator
            operations.append(COMPARISONS[symbol])
            offsets.append(offset)
            if self._is_at_not():
                operands.append(self._parse_nested_not(offset))
                break
            operands.append(self._parse_sum())
            operator = None if symbol in ("in", "not in") else self._accept_comparison_operator()
        evaluate = fold_right([operand.evaluate for operand in operands], operations, offsets)
        return Expression(evaluate, first.offset, all(operand.is_safe for operand in operands), is_shell_safe=True)

    def _is_at_not(self) -> bool:
        return self.stream.current.kind == KEYWORD and self.stream.current.value == "not"

    def _parse_nested_not(self, offset: int) -> Expression:
        self.compilation.enter_nesting(offset)
        operand = self._parse_not()
        self.compilation.leave_nesting()
        return operand

    def _accept_comparison_operator(self) -> tuple[str, int] | None:
        token = self.stream.current
        if token.kind == SYMBOL and token.value in COMPARISONS:
            self.stream.index += 1
            return token.value, token.offset
        if token.kind != KEYWORD:
            return None
        if token.value == "in":
            self.stream.index += 1
            return "in", token.offset
        following = self.stream.tokens[self.stream.index + 1]
        if token.value == "not" and following.kind == KEYWORD and following.value == "in":
            self.stream.index += 2
            return "not in", token.offset
        return None

    def _parse_sum(self) -> Expression:
        stream, token = self.stream, self.stream.current
        is_signed = token.kind == SYMBOL and token.value in ("+", "-", "!")
        first = self._parse_signed(token) if is_signed else self._parse_product()
        operands, operations, offsets, hint = [first], [], [], ""
        while operator := stream.accept_symbol("+", "-"):
            operations.append(ADDITIONS[operator.value])
            if operator.value == "-":
                hint = self._record_dash(operator, operations) or hint
            operands.append(self._parse_product())
            offsets.append(operator.offset)
        if not operations:
            return first
        evaluate = fold_left([operand.evaluate for operand in operands], operations, offsets)
        is_shell_safe = all(operand.is_shell_safe for operand in operands)
        return Expression(
            add_hint_to_errors(evaluate, hint) if hint else evaluate,
            first.offset,
            all(operand.is_safe for operand in operands),
            is_shell_safe=is_shell_safe,
        )

    def _record_dash(self, dash: TemplateToken, operations: list[OperatorFunc]) -> str:
        """Record a dash that is probably a part of a key, as in `Event.Payload.issue-key`.

        Return the right spelling, or '' if the dash can be a minus. The last of the operations is its own.
        """
        hint = self.compilation.record_dash(self.stream, dash.offset)
        if hint and self.stream.current.kind == NUMBER:
            operations[-1] = warn_about_none(operations[-1], hint)
            return ""
        return hint

    def _parse_signed(self, token: TemplateToken) -> Expression:
        is_negative = False
        if token.value != "!":
            self.stream.index += 1
            is_negative = token.value == "-"
        is_negated = self.stream.accept_symbol("!") is not None
        operand = self._parse_product()
        evaluate = compile_not(operand.evaluate, 1) if is_negated else operand.evaluate
        return Expression(
            compile_negation(evaluate, token.offset) if is_negative else evaluate, token.offset, operand.is_safe
        )

    def _parse_product(self) -> Expression:
        first = self._parse_power()
        if self.stream.current.kind != SYMBOL or self.stream.current.value not in MULTIPLICATIONS:
            return first
        operands, operations, offsets = [first], [], []
        while operator := self.stream.accept_symbol("*", "/", "%"):
            operands.append(self._parse_power())
            operations.append(MULTIPLICATIONS[operator.value])
            offsets.append(operator.offset)
        evaluate = fold_left([operand.evaluate for operand in operands], operations, offsets)
        return Expression(evaluate, first.offset, all(operand.is_safe for operand in operands), is_shell_safe=True)

    def _parse_power(self) -> Expression:
        first = self._parse_filtered()
        if self.stream.current.value != "^" or self.stream.current.kind != SYMBOL:
            return first
        operands, offsets = [first], []
        while operator := self.stream.accept_symbol("^"):
            operands.append(self._parse_filtered())
            offsets.append(operator.offset)
        evaluate = fold_right([operand.evaluate for operand in operands], [raise_to_power] * len(offsets), offsets)
        return Expression(evaluate, first.offset, all(operand.is_safe for operand in operands))

    def _parse_filtered(self) -> Expression:
        operand = self.parse_operand()
        token = self.stream.current
        if token.kind != SYMBOL or token.value != "|":
            return operand
        evaluate, is_safe, length, name = operand.evaluate, operand.is_safe, 0, ""
        while bar := self.stream.accept_symbol("|"):
            evaluate, name = self.parse_filter_call(evaluate)
            is_safe = is_safe or name == "safe"
            length += 1
            check_chain_length(length, bar.offset)
        return Expression(evaluate, operand.offset, is_safe, is_shell_safe=name in SHELL_SAFE_FILTERS)

    def parse_operand(self) -> Expression:
        """Parse a literal, a variable with its keys and calls, or an expression in parentheses; no filters."""
        stream = self.stream
        token = stream.current
        if token.kind == NAME:
            stream.index += 1
            if token.value in LITERALS:
                return self._parse_named_literal(token)
            expression = self._parse_variable(token)
            return self._track_reads(expression, token) if self.compilation.tracks_reads else expression
        if token.kind == STRING:
            stream.index += 1
            return make_constant(token.value, token.offset)
        if token.kind == NUMBER:
            stream.index += 1
            return self._parse_number(token)
        if token.kind == KEYWORD and token.value in ("true", "false"):
            stream.index += 1
            return make_constant(token.value == "true", token.offset)
        if token.kind == KEYWORD:
            hint = explain_unexpected(self.compilation.source, token.offset, token.value)
            raise LocatedError(f"keyword '{token.value}' is not allowed here{hint}", token.offset)
        if stream.accept_symbol("("):
            return self._parse_parentheses(token)
        if token.kind == SYMBOL and token.value in ("-", "+", "!"):
            raise LocatedError(
                f"'{token.value}' is allowed only at the start of an expression: use parentheses", token.offset
            )
        raise stream.make_unexpected_token_error("a value")

    def _track_reads(self, expression: Expression, token: TemplateToken) -> Expression:
        """Record lookups of the expression, unless the template itself assigned the name."""
        if token.value in self.compilation.declared_names or token.value == "forloop":
            return expression
        source = self.compilation.source[token.offset : self.stream.current.offset].rstrip()
        return expression._replace(evaluate=track_reads(expression.evaluate, source))

    def _parse_named_literal(self, token: TemplateToken) -> Expression:
        value = LITERALS[token.value]
        if value is None and self.stream.current.value in (".", "(") and self.stream.current.kind == SYMBOL:
            return self._parse_lookups(make_constant(None, token.offset))
        return make_constant(value, token.offset)

    def _parse_number(self, token: TemplateToken) -> Expression:
        if len(token.value) > MAX_DIGITS:
            raise LocatedError(f"number has too many digits (more than {MAX_DIGITS:,})", token.offset)
        if not self.stream.accept_symbol("."):
            return make_constant(int(token.value), token.offset)
        digits = self.stream.expect(NUMBER, "digits after the '.'")
        if len(digits.value) > MAX_DIGITS:
            raise LocatedError(f"number has too many digits (more than {MAX_DIGITS:,})", digits.offset)
        value = float(f"{token.value}.{digits.value}")
        if value == float("inf"):
            raise LocatedError("number is too large (more than 1.8e308)", token.offset)
        return make_constant(value, token.offset)

    def _parse_parentheses(self, token: TemplateToken) -> Expression:
        self.compilation.enter_nesting(token.offset)
        inner = self.parse_expression()
        self.stream.expect_symbol(")", "')'")
        self.compilation.leave_nesting()
        if self.stream.current.kind == SYMBOL and self.stream.current.value == ".":
            return self._parse_lookups(inner)
        return inner

    def _parse_variable(self, token: TemplateToken) -> Expression:
        self.compilation.record_root_name(token.value, token.offset)
        keys = self._parse_keys()
        self.compilation.record_reference(token.value, keys[0][0] if keys else None, token.offset)
        if self.stream.current.kind == SYMBOL and self.stream.current.value == "(":
            return self._parse_call(token, keys)
        function = self.compilation.functions.get(token.value)
        if function is not None:
            evaluate = compile_function_call(function, [], token.offset)
            return self._make_lookup(evaluate, token, keys)
        if token.value in self.compilation.declared_names or not keys:
            return self._make_lookup(compile_variable(token.value, token.offset), token, keys)
        return Expression(compile_path(token.value, keys), token.offset)

    def _make_lookup(
        self, evaluate: ExpressionFunc, token: TemplateToken, keys: list[tuple[str | int, int]]
    ) -> Expression:
        return Expression(compile_lookups(evaluate, keys, None) if keys else evaluate, token.offset)

    def _parse_call(self, token: TemplateToken, keys: list[tuple[str | int, int]]) -> Expression:
        first_reference = len(self.compilation.references)
        arguments = self._parse_arguments()
        has_default = token.value == "datastore" and len(arguments) > 1
        if token.value in _SHELL_SAFE_FUNCTIONS and not has_default:
            del self.compilation.references[first_reference:]
        function = self.compilation.functions.get(token.value)
        if keys:
            evaluate_base = (
                compile_function_call(function, [], token.offset)
                if function
                else compile_variable(token.value, token.offset)
            )
            evaluate = compile_lookups(evaluate_base, keys, arguments)
        elif function is not None:
            evaluate = compile_function_call(function, arguments, token.offset)
        else:
            evaluate = compile_name_call(token.value, arguments, token.offset)
        return self._parse_lookups(Expression(evaluate, token.offset))

    def _parse_lookups(self, expression: Expression) -> Expression:
        """Parse keys and calls after parentheses or after a call."""
        evaluate, length = expression.evaluate, 0
        while self.stream.current.kind == SYMBOL and self.stream.current.value in (".", "("):
            length += 1
            check_chain_length(length, self.stream.current.offset)
            if self.stream.current.value == "(":
                raise LocatedError("only a name can be called", self.stream.current.offset)
            keys = self._parse_keys()
            is_call = self.stream.current.kind == SYMBOL and self.stream.current.value == "("
            evaluate = compile_lookups(evaluate, keys, self._parse_arguments() if is_call else None)
        return Expression(evaluate, expression.offset, expression.is_safe)

    def _parse_keys(self) -> list[tuple[str | int, int]]:
        keys: list[tuple[str | int, int]] = []
        while self.stream.accept_symbol("."):
            token = self.stream.current
            if token.kind == NAME:
                keys.append((token.value, token.offset))
            elif token.kind == NUMBER and len(token.value) < 19:
                keys.append((int(token.value), token.offset))
            else:
                raise self.stream.make_unexpected_token_error("a name or a number after the '.'")
            self.stream.index += 1
        return keys

    def _parse_arguments(self) -> list[ExpressionFunc]:
        opening = self.stream.expect_symbol("(", "'('")
        self.compilation.enter_nesting(opening.offset)
        arguments: list[ExpressionFunc] = []
        while not self.stream.accept_symbol(")"):
            arguments.append(self.parse_expression().evaluate)
            if self.stream.accept_symbol(")"):
                break
            self.stream.expect_symbol(",", "',' or ')'")
        self.compilation.leave_nesting()
        return arguments
