"""Arithmetic and comparison of two values. Text counts as a number where it reads as one (R6)."""

import operator
from collections.abc import Callable

from flows.lang.errors import RefusedError
from flows.lang.evaluation import CHEAP, Evaluation
from flows.lang.values import contains, equal, is_number, number, read_number, text, whole

_SCALARS = frozenset({int, float, str, type(None)})


def bounded(value: int | float, evaluation: Evaluation) -> int | float:
    """The result of a calculation. Raises RefusedError when it is too large."""
    if type(value) is int:
        if value.bit_length() > evaluation.limits.integer_bits:
            raise RefusedError(f"the number is too large (more than {evaluation.limits.integer_bits:,} bits)")
    elif value != value or value in (float("inf"), float("-inf")):
        raise RefusedError("the number is too large for a decimal number")
    return value


def _calculate(
    apply: Callable[[int | float, int | float], int | float], left: object, right: object, evaluation: Evaluation
) -> int | float:
    try:
        return bounded(apply(number(left), number(right)), evaluation)
    except OverflowError:
        raise RefusedError("the number is too large for a decimal number") from None


def both_numbers(left: object, right: object) -> tuple[int | float, int | float] | None:
    """The two as numbers, or None where one of them is a text that is none, or stands beside no number."""
    numbers = []
    for value in (left, right):
        found = read_number(value) if isinstance(value, str) else value
        if type(found) is not int and type(found) is not float:
            return None
        numbers.append(found)
    return numbers[0], numbers[1]


def add(left: object, right: object, evaluation: Evaluation) -> object:
    """Numbers are added; a text with anything that is not a number is joined to it (R6)."""
    if (isinstance(left, str) or isinstance(right, str)) and both_numbers(left, right) is None:
        return concatenate(left, right, evaluation)
    return _calculate(operator.add, left, right, evaluation)


def concatenate(left: object, right: object, evaluation: Evaluation) -> str:
    """The two texts in one. Raises RefusedError when it is too long."""
    first, second = text(left), text(right)
    size = len(first) + len(second)
    if size > evaluation.limits.text:
        raise RefusedError(f"the text gets too long (more than {evaluation.limits.text:,} characters)")
    evaluation.spend(size >> 6)
    return first + second


def order(left: object, right: object) -> int:
    """For sorting: numbers by size and before all else, the rest by its text. Below 0 where `left` comes first."""
    numbers = (is_number(left), is_number(right))
    if numbers == (True, True):
        return (number(left) > number(right)) - (number(left) < number(right))
    if True in numbers:
        return -1 if numbers[0] else 1
    first, second = text(left), text(right)
    return (first > second) - (first < second)


def subtract(left: object, right: object, evaluation: Evaluation) -> object:
    """A difference of numbers; what is no number is 0."""
    return _calculate(operator.sub, left, right, evaluation)


def multiply(left: object, right: object, evaluation: Evaluation) -> object:
    """A product of numbers; what is no number is 0."""
    return _calculate(operator.mul, left, right, evaluation)


def divide(left: object, right: object, evaluation: Evaluation) -> object:
    """The exact quotient: a whole number where whole numbers divide, else a decimal one (R2)."""
    dividend, divisor = number(left), number(right)
    if divisor == 0:
        raise RefusedError("division by zero")
    if type(dividend) is int and type(divisor) is int and dividend % divisor == 0:
        return dividend // divisor
    return _calculate(operator.truediv, dividend, divisor, evaluation)


def remainder(left: object, right: object, evaluation: Evaluation) -> object:
    """The remainder of whole numbers, with the sign of the dividend, as in Go."""
    dividend, divisor = whole(left), whole(right)
    if divisor == 0:
        raise RefusedError("division by zero")
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def power(left: object, right: object, evaluation: Evaluation) -> object:
    """A power; of whole numbers exact, so its size is checked before it is computed."""
    base, exponent = number(left), number(right)
    if base == 0 and exponent < 0:
        raise RefusedError("division by zero")
    if type(base) is int and type(exponent) is int and exponent >= 0:
        if abs(base) > 1 and (base.bit_length() - 1) * exponent > evaluation.limits.integer_bits:
            raise RefusedError(f"the number is too large (more than {evaluation.limits.integer_bits:,} bits)")
        return bounded(base**exponent if abs(base) > 1 or exponent < 2 else base ** (exponent % 2 + 2), evaluation)
    if base < 0 and exponent != int(exponent):
        raise RefusedError("a negative number has no such power")
    return _calculate(operator.pow, float(base), float(exponent), evaluation)


def _same(left: object, right: object, evaluation: Evaluation) -> bool:
    if type(left) in _SCALARS and type(right) in _SCALARS:
        if type(left) is str and len(left) > CHEAP:
            evaluation.spend(len(left) >> 10)
        return left == right
    return equal(left, right, evaluation.spend)


def _differ(left: object, right: object, evaluation: Evaluation) -> bool:
    return not _same(left, right, evaluation)


def _inside(left: object, right: object, evaluation: Evaluation) -> bool:
    return contains(right, left, evaluation.spend)


def _outside(left: object, right: object, evaluation: Evaluation) -> bool:
    return not contains(right, left, evaluation.spend)


def _order(
    compare: Callable[..., bool],
) -> Callable[[object, object, Evaluation], bool]:
    def ordered(left: object, right: object, evaluation: Evaluation) -> bool:
        if (isinstance(left, str) or isinstance(right, str)) and both_numbers(left, right) is None:
            return compare(text(left), text(right))
        return compare(number(left), number(right))

    return ordered


Operation = Callable[[object, object, Evaluation], object]

COMPARISONS: dict[str, Operation] = {
    "==": _same,
    "!=": _differ,
    "<>": _differ,
    "<": _order(operator.lt),
    "<=": _order(operator.le),
    ">": _order(operator.gt),
    ">=": _order(operator.ge),
    "in": _inside,
    "not in": _outside,
}
ADDITIONS: dict[str, Operation] = {"+": add, "-": subtract}
MULTIPLICATIONS: dict[str, Operation] = {"*": multiply, "/": divide, "%": remainder}


def negative(value: object) -> object:
    """The number with the other sign. Raises RefusedError for anything else."""
    if type(value) is int or type(value) is float:
        return -value
    raise RefusedError("only a number can be negative")
