"""Arithmetic and comparison of two values. Text that reads as a number counts as that number (R6)."""

import operator
from collections.abc import Callable

from flows.template.errors import OperationError
from flows.template.runtime.render_context import MAX_UNCHARGED_SIZE, RenderContext
from flows.template.runtime.values import contains, is_equal, is_number, parse_number, to_int, to_number, to_text

_SCALARS = frozenset({int, float, str, type(None)})


def check_number_size(value: int | float, render_context: RenderContext) -> int | float:
    """Return the result of a calculation. Raises OperationError if it is too large."""
    if type(value) is int:
        if value.bit_length() > render_context.limits.integer_bits:
            raise OperationError(f"number is too large (more than {render_context.limits.integer_bits:,} bits)")
    elif value != value or value in (float("inf"), float("-inf")):
        raise OperationError("number is too large for a decimal number")
    return value


def _calculate(
    apply: Callable[[int | float, int | float], int | float], left: object, right: object, render_context: RenderContext
) -> int | float:
    try:
        return check_number_size(apply(to_number(left), to_number(right)), render_context)
    except OverflowError:
        raise OperationError("number is too large for a decimal number") from None


def to_number_pair(left: object, right: object) -> tuple[int | float, int | float] | None:
    """Return both values as numbers, or None if one of them is not numeric."""
    numbers = []
    for value in (left, right):
        parsed = parse_number(value) if isinstance(value, str) else value
        if type(parsed) is not int and type(parsed) is not float:
            return None
        numbers.append(parsed)
    return numbers[0], numbers[1]


def add(left: object, right: object, render_context: RenderContext) -> object:
    """Add numbers; concatenate if either value is text and not both are numeric (R6)."""
    if (isinstance(left, str) or isinstance(right, str)) and to_number_pair(left, right) is None:
        return concatenate(left, right, render_context)
    return _calculate(operator.add, left, right, render_context)


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
        return (to_number(left) > to_number(right)) - (to_number(left) < to_number(right))
    if True in are_numbers:
        return -1 if are_numbers[0] else 1
    first, second = to_text(left), to_text(right)
    return (first > second) - (first < second)


def subtract(left: object, right: object, render_context: RenderContext) -> object:
    """Subtract numbers; a value that is not numeric counts as 0."""
    return _calculate(operator.sub, left, right, render_context)


def multiply(left: object, right: object, render_context: RenderContext) -> object:
    """Multiply numbers; a value that is not numeric counts as 0."""
    return _calculate(operator.mul, left, right, render_context)


def divide(left: object, right: object, render_context: RenderContext) -> object:
    """Return the exact quotient: an integer if the division of integers is exact, else a float (R2)."""
    dividend, divisor = to_number(left), to_number(right)
    if divisor == 0:
        raise OperationError("division by zero")
    if type(dividend) is int and type(divisor) is int and dividend % divisor == 0:
        return dividend // divisor
    return _calculate(operator.truediv, dividend, divisor, render_context)


def modulo(left: object, right: object, render_context: RenderContext) -> object:
    """Return the remainder of integers, with the sign of the dividend, as in Go."""
    dividend, divisor = to_int(left), to_int(right)
    if divisor == 0:
        raise OperationError("division by zero")
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def raise_to_power(left: object, right: object, render_context: RenderContext) -> object:
    """Raise to a power; of integers exactly, so the size is checked before the computation."""
    base, exponent = to_number(left), to_number(right)
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
    if type(left) in _SCALARS and type(right) in _SCALARS:
        if type(left) is str and len(left) > MAX_UNCHARGED_SIZE:
            render_context.charge(len(left) >> 10)
        return left == right
    return is_equal(left, right, render_context.charge)


def _not_equal(left: object, right: object, render_context: RenderContext) -> bool:
    return not _equal(left, right, render_context)


def _in(left: object, right: object, render_context: RenderContext) -> bool:
    return contains(right, left, render_context.charge)


def _not_in(left: object, right: object, render_context: RenderContext) -> bool:
    return not contains(right, left, render_context.charge)


def _make_comparison(
    compare: Callable[..., bool],
) -> Callable[[object, object, RenderContext], bool]:
    def compare_values(left: object, right: object, render_context: RenderContext) -> bool:
        if (isinstance(left, str) or isinstance(right, str)) and to_number_pair(left, right) is None:
            return compare(to_text(left), to_text(right))
        return compare(to_number(left), to_number(right))

    return compare_values


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
    if type(value) is int or type(value) is float:
        return -value
    raise OperationError("only a number can be negative")
