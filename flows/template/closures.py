"""Closures that make up compiled expressions.

Each takes the scope and returns a value, or raises LocatedError with its offset.
"""

from collections.abc import Sequence

from flows.template.compilation import Expression, ExpressionFunc
from flows.template.errors import OPERATION_ERRORS, LocatedError, locate_error
from flows.template.filters.base import Filter
from flows.template.functions import Function
from flows.template.runtime.macros import Macro
from flows.template.runtime.numbers import SpacedLiteral, mark_spaced
from flows.template.runtime.operators import OperatorFunc, negate
from flows.template.runtime.render_context import MAX_UNCHARGED_SIZE, RenderContext, Scope
from flows.template.runtime.resolve import call_method, make_variable_reader, resolve_key
from flows.template.runtime.values import is_truthy

KeyWithOffset = tuple[str | int, int]


def make_constant(value: object, offset: int) -> Expression:
    """Compile a literal."""
    if isinstance(value, str):
        value = mark_spaced(value, SpacedLiteral)
    return Expression(lambda scope: value, offset, is_constant=True, value=value, is_shell_safe=True)


def compile_variable(name: str, offset: int) -> ExpressionFunc:
    """Compile a name without keys; a macro's name calls the macro."""
    read_variable = make_variable_reader(name)

    def evaluate(scope: Scope) -> object:
        value = read_variable(scope)
        return value.call([], offset) if type(value) is Macro else value

    return evaluate


def track_reads(evaluate: ExpressionFunc, source: str) -> ExpressionFunc:
    """Wrap an expression so that it records each lookup in the render context; `source` is its text in the template."""

    def evaluate_and_track(scope: Scope) -> object:
        value = evaluate(scope)
        scope.render_context.track_read(source, value)
        return value

    return evaluate_and_track


def compile_lookups(
    evaluate_base: ExpressionFunc, keys: Sequence[KeyWithOffset], arguments: Sequence[ExpressionFunc] | None
) -> ExpressionFunc:
    """Compile `….key.key`, or `….key.key(arguments)`, after a computed value. A missing value ends the lookups."""
    intermediate_keys = list(keys) if arguments is None else list(keys)[:-1]
    last_key, last_offset = keys[-1]

    def evaluate(scope: Scope) -> object:
        value = evaluate_base(scope)
        for key, key_offset in intermediate_keys:
            if value is None:
                return None
            try:
                value = resolve_key(value, key)
            except OPERATION_ERRORS as error:
                raise locate_error(error, key_offset) from None
        if arguments is None or value is None:
            return value
        argument_values = [evaluate_argument(scope) for evaluate_argument in arguments]
        try:
            return call_method(value, last_key, argument_values)
        except OPERATION_ERRORS as error:
            raise locate_error(error, last_offset) from None

    return evaluate


def compile_function_call(function: Function, arguments: Sequence[ExpressionFunc], offset: int) -> ExpressionFunc:
    """Compile a call such as `randomInt(5)`. A name set by a tag hides the function."""
    name, call_by_name = function.name, compile_name_call(function.name, arguments, offset)

    def evaluate(scope: Scope) -> object:
        if name in scope.local_variables:
            return scope.local_variables[name] if not arguments else call_by_name(scope)
        argument_values = [evaluate_argument(scope) for evaluate_argument in arguments]
        try:
            result = function.apply(scope, argument_values, offset)
        except OPERATION_ERRORS as error:
            raise locate_error(error, offset) from None
        if scope.render_context.unlocated_warnings:
            scope.render_context.locate_warnings(offset)
        return result

    return evaluate


def compile_name_call(name: str, arguments: Sequence[ExpressionFunc], offset: int) -> ExpressionFunc:
    """Compile `name(…)`, the call of a macro; an undefined name gives None."""
    read_variable = make_variable_reader(name)

    def evaluate(scope: Scope) -> object:
        value = read_variable(scope)
        if value is None:
            return None
        if type(value) is not Macro:
            raise LocatedError(f"'{name}' is not a function", offset)
        return value.call([evaluate_argument(scope) for evaluate_argument in arguments], offset)

    return evaluate


def compile_filter(
    template_filter: Filter, evaluate_base: ExpressionFunc, evaluate_argument: ExpressionFunc | None, offset: int
) -> ExpressionFunc:
    """Compile `…|filter:argument`; its cost depends on the size of the filtered value."""
    apply, is_per_character = template_filter.apply, template_filter.is_per_character

    def evaluate(scope: Scope) -> object:
        value = evaluate_base(scope)
        argument_value = evaluate_argument(scope) if evaluate_argument is not None else None
        render_context = scope.render_context
        if isinstance(value, str | list | dict) and len(value) > MAX_UNCHARGED_SIZE:
            render_context.charge(len(value) if is_per_character else len(value) >> 6, offset)
        try:
            result = apply(value, argument_value, render_context)
        except OPERATION_ERRORS as error:
            raise locate_error(error, offset) from None
        if render_context.unlocated_warnings:
            render_context.locate_warnings(offset)
        if isinstance(result, str | list) and len(result) > MAX_UNCHARGED_SIZE:
            _charge_result(result, render_context, offset)
        return result

    return evaluate


def _charge_result(result: str | list[object], render_context: RenderContext, offset: int) -> None:
    render_context.charge(len(result) >> 6 if isinstance(result, str) else len(result), offset)
    if isinstance(result, str) and len(result) > render_context.limits.text_length:
        raise LocatedError(f"text is too long (more than {render_context.limits.text_length:,} characters)", offset)


def compile_logical_chain(operands: Sequence[ExpressionFunc], conjunctions: Sequence[bool]) -> ExpressionFunc:
    """Compile `a and b or c`, grouped to the right; evaluation stops once the answer is known. conjunctions: True for
    `and`.
    """
    operand_pairs = list(zip(operands[:-1], conjunctions, strict=True))
    evaluate_last = operands[-1]

    def evaluate(scope: Scope) -> object:
        for evaluate_operand, conjunction in operand_pairs:
            if is_truthy(evaluate_operand(scope)) is not conjunction:
                return not conjunction
        return is_truthy(evaluate_last(scope))

    return evaluate


def compile_not(evaluate_operand: ExpressionFunc, count: int) -> ExpressionFunc:
    """Compile `not …`, repeated `count` times."""
    expected = count % 2 == 0
    return lambda scope: is_truthy(evaluate_operand(scope)) is expected


def compile_negation(evaluate_operand: ExpressionFunc, offset: int) -> ExpressionFunc:
    """Compile `-…`."""

    def evaluate(scope: Scope) -> object:
        try:
            return negate(evaluate_operand(scope))
        except OPERATION_ERRORS as error:
            raise locate_error(error, offset) from None

    return evaluate


def fold_left(
    operands: Sequence[ExpressionFunc], operations: Sequence[OperatorFunc], offsets: Sequence[int]
) -> ExpressionFunc:
    """Compile `a - b - c` as `(a - b) - c`."""
    evaluate_first = operands[0]
    remaining = list(zip(operations, operands[1:], offsets, strict=True))

    def evaluate(scope: Scope) -> object:
        left, render_context = evaluate_first(scope), scope.render_context
        for apply, evaluate_operand, offset in remaining:
            right = evaluate_operand(scope)
            try:
                left = apply(left, right, render_context)
            except OPERATION_ERRORS as error:
                raise locate_error(error, offset) from None
            if render_context.unlocated_warnings:
                render_context.locate_warnings(offset)
        return left

    return evaluate


def add_hint_to_errors(evaluate: ExpressionFunc, hint: str) -> ExpressionFunc:
    """Add the hint to the message of each error."""

    def evaluate_with_hint(scope: Scope) -> object:
        try:
            return evaluate(scope)
        except LocatedError as error:
            raise LocatedError(f"{error.message}; {hint}", error.offset, error.suggestion) from None

    return evaluate_with_hint


def warn_about_none(apply: OperatorFunc, hint: str) -> OperatorFunc:
    """Add a warning if the left operand is missing."""

    def apply_with_warning(left: object, right: object, render_context: RenderContext) -> object:
        if left is None:
            render_context.warn(hint)
        return apply(left, right, render_context)

    return apply_with_warning


def fold_right(
    operands: Sequence[ExpressionFunc], operations: Sequence[OperatorFunc], offsets: Sequence[int]
) -> ExpressionFunc:
    """Compile `a ^ b ^ c` as `a ^ (b ^ c)`. The operands are evaluated from left to right."""
    if len(operations) == 1:
        return fold_left(operands, operations, offsets)
    reversed_operations = list(zip(reversed(operations), reversed(offsets), strict=True))

    def evaluate(scope: Scope) -> object:
        values = [evaluate_operand(scope) for evaluate_operand in operands]
        value, render_context = values.pop(), scope.render_context
        for apply, offset in reversed_operations:
            try:
                value = apply(values.pop(), value, render_context)
            except OPERATION_ERRORS as error:
                raise locate_error(error, offset) from None
            if render_context.unlocated_warnings:
                render_context.locate_warnings(offset)
        return value

    return evaluate
