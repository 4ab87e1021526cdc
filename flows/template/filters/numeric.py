"""Filters for numbers and times."""

from datetime import datetime

from flows.template.errors import OperationError
from flows.template.filters.base import Filter
from flows.template.filters.go_format import format_value
from flows.template.runtime.go_time import format_go_or_django, parse_rfc3339
from flows.template.runtime.operators import check_number_size, concatenate
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.resolve import get_type_name
from flows.template.runtime.values import is_number, to_float, to_int, to_number, to_text

MAX_DECIMALS = 100


def _add(value: object, argument: object, render_context: RenderContext) -> object:
    if is_number(value) and is_number(argument):
        try:
            return check_number_size(to_number(value) + to_number(argument), render_context)
        except OverflowError:
            raise OperationError("number is too large for a decimal number") from None
    return concatenate(value, argument, render_context)


def _integer(value: object, argument: object, render_context: RenderContext) -> object:
    return check_number_size(to_int(value), render_context)


def _float(value: object, argument: object, render_context: RenderContext) -> object:
    return to_float(value)


def _divisibleby(value: object, argument: object, render_context: RenderContext) -> object:
    divisor = to_int(argument)
    return divisor != 0 and to_int(value) % divisor == 0


def _get_digit(value: object, argument: object, render_context: RenderContext) -> object:
    digits, position = to_text(value), to_int(argument)
    if not 0 < position <= len(digits):
        return value
    char = digits[-position]
    return int(char) if char in "0123456789" else (ord(char) - 48) % 256


def _floatformat(value: object, argument: object, render_context: RenderContext) -> object:
    decimals = to_int(argument) if argument is not None else -1
    trims_zeros = not is_number(argument) or decimals <= 0
    if abs(decimals) > MAX_DECIMALS:
        raise OperationError(f"floatformat returns at most {MAX_DECIMALS} decimals")
    number_value = to_number(value)
    if trims_zeros and number_value == to_int(number_value):
        return to_int(number_value)
    return f"{to_float(number_value):.{abs(decimals)}f}"


def _make_date_filter(name: str) -> Filter:
    def format_date(value: object, argument: object, render_context: RenderContext) -> object:
        moment = parse_rfc3339(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime):
            described = "this text" if isinstance(value, str) else get_type_name(value)
            raise OperationError(f"{name} needs a time, not {described}")
        return format_go_or_django(moment, to_text(argument))

    return Filter(name, format_date)


def _stringformat(value: object, argument: object, render_context: RenderContext) -> object:
    return format_value(to_text(argument), value, render_context.limits.text_length)


NUMERIC_FILTERS = (
    Filter("add", _add),
    Filter("integer", _integer),
    Filter("float", _float),
    Filter("divisibleby", _divisibleby),
    Filter("get_digit", _get_digit),
    Filter("floatformat", _floatformat),
    _make_date_filter("date"),
    _make_date_filter("time"),
    Filter("stringformat", _stringformat),
)
