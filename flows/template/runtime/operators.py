"""Arithmetic and comparison of two values. Text that reads as a number counts as that number (R6, R17)."""

import operator
from collections.abc import Callable
from datetime import datetime

from flows.template.errors import OperationError
from flows.template.runtime.numbers import (
    SpacedLiteral,
    SpacedText,
    are_number_and_text,
    describe_not_numeric,
    mark_spaced,
    parse_number,
    quote_text,
    read_int,
    read_number,
    read_number_pair,
)
from flows.template.runtime.render_context import MAX_UNCHARGED_SIZE, RenderContext
from flows.template.runtime.resolve import get_type_name
from flows.template.runtime.values import contains, is_equal, is_number, to_text

_SCALARS = frozenset({int, float, str, type(None)})


def check_number_size(value: int | float, render_context: RenderContext) -> int | float:
    """Return the result of a calculation. Raises OperationError if it is too large."""
    if type(value) is int:
        if value.bit_length() > render_context.limits.integer_bits:
            raise OperationError(f"number is too large (more than {render_context.limits.integer_bits:,} bits)")
    elif value != value or value in (float("inf"), float("-inf")):
        raise OperationError("number is too large (more than 1.8e308)")
    return value


def _calculate(
    apply: Callable[[int | float, int | float], int | float], left: object, right: object, render_context: RenderContext
) -> int | float:
    try:
        return check_number_size(
            apply(read_number(left, render_context), read_number(right, render_context)), render_context
        )
    except OverflowError:
        raise OperationError("number is too large (more than 1.8e308)") from None


def add(left: object, right: object, render_context: RenderContext) -> object:
    """Add numbers; concatenate if either value is text and not both are numeric (R6)."""
    if not isinstance(left, str) and not isinstance(right, str):
        return _calculate(operator.add, left, right, render_context)
    pair = None if _keep_white_space(left, right) else read_number_pair(left, right)
    if pair is None:
        return mark_spaced(concatenate(left, right, render_context), SpacedText)
    return _calculate(operator.add, *pair, render_context)


def _keep_white_space(left: object, right: object) -> bool:
    """Return whether white space at an end of a value is there to be joined, as in `hours + ' ' + minutes`."""
    types = {type(left), type(right)}
    return SpacedText in types or (SpacedLiteral in types and isinstance(left, str) and isinstance(right, str))


def concatenate(left: object, right: object, render_context: RenderContext) -> str:
    """Concatenate two values as text. Raises OperationError if the result is too long."""
    first, second = to_text(left), to_text(right)
    length = len(first) + len(second)
    if length > render_context.limits.text_length:
        raise OperationError(f"text is too long (more than {render_context.limits.text_length:,} characters)")
    render_context.charge(length >> 6)
    return first + second


def compare_for_sorting(left: object, right: object) -> int:
    """Compare for sorting: numbers first, by size; everything else by its text. Below 0 if `left` comes first."""
    are_numbers = (is_number(left), is_number(right))
    if are_numbers == (True, True):
        return bool(left > right) - bool(left < right)  # type: ignore[operator]
    if True in are_numbers:
        return -1 if are_numbers[0] else 1
    first, second = to_text(left), to_text(right)
    return (first > second) - (first < second)


def subtract(left: object, right: object, render_context: RenderContext) -> object:
    """Subtract numbers."""
    return _calculate(operator.sub, left, right, render_context)


def multiply(left: object, right: object, render_context: RenderContext) -> object:
    """Multiply numbers."""
    return _calculate(operator.mul, left, right, render_context)


def divide(left: object, right: object, render_context: RenderContext) -> object:
    """Return the exact quotient: an integer if the division of integers is exact, else a float (R2)."""
    dividend, divisor = read_number(left, render_context), read_number(right, render_context)
    if divisor == 0:
        raise OperationError("division by zero")
    if type(dividend) is int and type(divisor) is int and dividend % divisor == 0:
        return dividend // divisor
    return _calculate(operator.truediv, dividend, divisor, render_context)


def modulo(left: object, right: object, render_context: RenderContext) -> object:
    """Return the remainder of integers, with the sign of the dividend, as in Go."""
    dividend, divisor = read_int(left, render_context), read_int(right, render_context)
    if divisor == 0:
        raise OperationError("division by zero")
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def raise_to_power(left: object, right: object, render_context: RenderContext) -> object:
    """Raise to a power; of integers exactly, so the size is checked before the computation."""
    base, exponent = read_number(left, render_context), read_number(right, render_context)
    if base == 0 and exponent < 0:
        raise OperationError("division by zero")
    if type(base) is int and type(exponent) is int and exponent >= 0:
        if abs(base) > 1 and (base.bit_length() - 1) * exponent > render_context.limits.integer_bits:
            raise OperationError(f"number is too large (more than {render_context.limits.integer_bits:,} bits)")
        return check_number_size(
            base**exponent if abs(base) > 1 or exponent < 2 else base ** (exponent % 2 + 2), render_context
        )
    if base < 0 and exponent != int(exponent):
        raise OperationError("a negative number cannot be raised to a fractional power")
    return _calculate(operator.pow, float(base), float(exponent), render_context)


def _equal(left: object, right: object, render_context: RenderContext) -> bool:
    if render_context.collected_warnings is not None:
        _warn_about_unequal_types(left, right, render_context)
    if type(left) in _SCALARS and type(right) in _SCALARS:
        if type(left) is str and len(left) > MAX_UNCHARGED_SIZE:
            render_context.charge(len(left) >> 10)
        return left == right
    return is_equal(left, right, render_context.charge)


def _warn_about_unequal_types(left: object, right: object, render_context: RenderContext) -> None:
    """Warn if the values are never equal only because of a type or of white space at an end."""
    if are_number_and_text(left, right):
        number, text = (left, str(right)) if is_number(left) else (right, str(left))
        if parse_number(text) is not None:
            render_context.warn(
                f"the number {to_text(number)} never equals the string {quote_text(text)}: convert it with |integer or"
                " |float"
            )
    elif isinstance(left, str) and isinstance(right, str) and left != right and left.strip() == right.strip():
        render_context.warn(f"{quote_text(left)} and {quote_text(right)} differ only in white space at an end")


def _not_equal(left: object, right: object, render_context: RenderContext) -> bool:
    return not _equal(left, right, render_context)


def _in(left: object, right: object, render_context: RenderContext) -> bool:
    is_contained = contains(right, left, render_context.charge)
    if not is_contained and render_context.collected_warnings is not None and isinstance(right, list):
        _warn_about_other_types(left, right, render_context)
    return is_contained


def _warn_about_other_types(item: object, items: list[object], render_context: RenderContext) -> None:
    """Warn if the list has the item as a number instead of text, or as text instead of a number."""
    for candidate in items:
        pair = read_number_pair(item, candidate) if are_number_and_text(item, candidate) else None
        if pair and pair[0] == pair[1]:
            found, sought = _describe_scalar(candidate), _describe_scalar(item)
            render_context.warn(f"the list contains {found}, which never equals {sought}")
            return


def _describe_scalar(value: object) -> str:
    return f"the string {quote_text(value)}" if isinstance(value, str) else f"the number {to_text(value)}"


def _not_in(left: object, right: object, render_context: RenderContext) -> bool:
    return not _in(left, right, render_context)


def _make_comparison(
    compare: Callable[..., bool],
) -> Callable[[object, object, RenderContext], bool]:
    def compare_values(left: object, right: object, render_context: RenderContext) -> bool:
        if is_number(left) and is_number(right):
            return compare(left, right)
        return compare(*_make_comparable(left, right, render_context))

    return compare_values


def _make_comparable(left: object, right: object, render_context: RenderContext) -> tuple[object, object]:
    """Return the values as two numbers or two texts. Raises OperationError for a number and text that is not one."""
    if not isinstance(left, str) and not isinstance(right, str):
        return _read_ordered_pair(left, right, render_context)
    if (pair := read_number_pair(left, right)) is not None:
        return pair
    if are_number_and_text(left, right):
        number, text = (left, str(right)) if is_number(left) else (right, str(left))
        raise OperationError(f"cannot compare {to_text(number)} with a string: {describe_not_numeric(text)}")
    return to_text(left), to_text(right)


def _read_ordered_pair(left: object, right: object, render_context: RenderContext) -> tuple[object, object]:
    if isinstance(left, datetime) and isinstance(right, datetime):
        if render_context.collects_warnings:
            render_context.warn("times have no order: compare their .Unix")
        return 0, 0
    return read_number(left, render_context), read_number(right, render_context)


OperatorFunc = Callable[[object, object, RenderContext], object]

COMPARISONS: dict[str, OperatorFunc] = {
    "==": _equal,
    "!=": _not_equal,
    "<>": _not_equal,
    "<": _make_comparison(operator.lt),
    "<=": _make_comparison(operator.le),
    ">": _make_comparison(operator.gt),
    ">=": _make_comparison(operator.ge),
    "in": _in,
    "not in": _not_in,
}
ADDITIONS: dict[str, OperatorFunc] = {"+": add, "-": subtract}
MULTIPLICATIONS: dict[str, OperatorFunc] = {"*": multiply, "/": divide, "%": modulo}


def negate(value: object) -> object:
    """Return the number with the opposite sign. Raises OperationError for other values."""
    number = parse_number(value) if isinstance(value, str) else value
    if type(number) is int or type(number) is float:
        return -number
    if isinstance(value, str):
        raise OperationError(f"only a number can be negative: {describe_not_numeric(value)}")
    raise OperationError(f"only a number can be negative, not {get_type_name(value)}")
