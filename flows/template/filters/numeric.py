"""Filters for numbers."""

from flows.template.errors import OperationError
from flows.template.filters.base import Filter
from flows.template.filters.go_format import format_value
from flows.template.runtime.numbers import (
    convert_to_float,
    cut_to_int,
    read_int,
    read_number,
    read_number_or_zero,
    read_number_pair,
)
from flows.template.runtime.operators import add, check_number_size, concatenate
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.values import is_number, to_text

MAX_DECIMALS = 100


def _add(value: object, argument: object, render_context: RenderContext) -> object:
    """Add a number to a number or to text that spells one; join two texts, as in the original."""
    if (is_number(value) or is_number(argument)) and (pair := read_number_pair(value, argument)) is not None:
        return add(*pair, render_context)
    return concatenate(value, argument, render_context)


def _integer(value: object, argument: object, render_context: RenderContext) -> object:
    return check_number_size(cut_to_int(read_number_or_zero(value, render_context)), render_context)


def _float(value: object, argument: object, render_context: RenderContext) -> object:
    return convert_to_float(read_number_or_zero(value, render_context))


def _divisibleby(value: object, argument: object, render_context: RenderContext) -> object:
    dividend, divisor = read_int(value, render_context), read_int(argument, render_context)
    return divisor != 0 and dividend % divisor == 0


def _get_digit(value: object, argument: object, render_context: RenderContext) -> object:
    digits = value.strip() if isinstance(value, str) else to_text(value)
    read_number(value, render_context)
    position = read_int(argument, render_context)
    if not 0 < position <= len(digits):
        return value
    char = digits[-position]
    return int(char) if char in "0123456789" else (ord(char) - 48) % 256


def _floatformat(value: object, argument: object, render_context: RenderContext) -> object:
    decimals = read_int(argument, render_context) if argument is not None else -1
    trims_zeros = not is_number(argument) or decimals <= 0
    if abs(decimals) > MAX_DECIMALS:
        raise OperationError(f"floatformat returns at most {MAX_DECIMALS} decimals")
    number = read_number_or_zero(value, render_context)
    if trims_zeros and number == cut_to_int(number):
        return cut_to_int(number)
    return f"{convert_to_float(number):.{abs(decimals)}f}"


def _stringformat(value: object, argument: object, render_context: RenderContext) -> object:
    return format_value(to_text(argument), value, render_context.limits.text_length, render_context.warn)


NUMERIC_FILTERS = (
    Filter("add", _add),
    Filter("integer", _integer),
    Filter("float", _float),
    Filter("divisibleby", _divisibleby),
    Filter("get_digit", _get_digit),
    Filter("floatformat", _floatformat),
    Filter("stringformat", _stringformat),
)
