"""Filters for numbers and times."""

from datetime import datetime

from flows.lang.errors import RefusedError
from flows.lang.evaluation import Evaluation
from flows.lang.filters.base import Filter
from flows.lang.lookups import kind_name
from flows.lang.operators import bounded, concatenate
from flows.lang.stringformat import format_value
from flows.lang.times import format_any, parse_rfc3339
from flows.lang.values import is_number, number, real, text, whole

MAX_DECIMALS = 100


def _add(value: object, argument: object, evaluation: Evaluation) -> object:
    if is_number(value) and is_number(argument):
        try:
            return bounded(number(value) + number(argument), evaluation)
        except OverflowError:
            raise RefusedError("the number is too large for a decimal number") from None
    return concatenate(value, argument, evaluation)


def _integer(value: object, argument: object, evaluation: Evaluation) -> object:
    return bounded(whole(value), evaluation)


def _float(value: object, argument: object, evaluation: Evaluation) -> object:
    return real(value)


def _divisibleby(value: object, argument: object, evaluation: Evaluation) -> object:
    divisor = whole(argument)
    return divisor != 0 and whole(value) % divisor == 0


def _get_digit(value: object, argument: object, evaluation: Evaluation) -> object:
    digits, place = text(value), whole(argument)
    if not 0 < place <= len(digits):
        return value
    char = digits[-place]
    return int(char) if char in "0123456789" else (ord(char) - 48) % 256


def _floatformat(value: object, argument: object, evaluation: Evaluation) -> object:
    decimals = whole(argument) if argument is not None else -1
    trim = not is_number(argument) or decimals <= 0
    if abs(decimals) > MAX_DECIMALS:
        raise RefusedError(f"floatformat gives at most {MAX_DECIMALS} decimals")
    found = number(value)
    if trim and found == whole(found):
        return whole(found)
    return f"{real(found):.{abs(decimals)}f}"


def _date(name: str) -> Filter:
    def apply(value: object, argument: object, evaluation: Evaluation) -> object:
        time = parse_rfc3339(value) if isinstance(value, str) else value
        if not isinstance(time, datetime):
            given = "this text" if isinstance(value, str) else kind_name(value)
            raise RefusedError(f"{name} needs a time, not {given}")
        return format_any(time, text(argument))

    return Filter(name, apply)


def _stringformat(value: object, argument: object, evaluation: Evaluation) -> object:
    return format_value(text(argument), value, evaluation.limits.text)


NUMBER_FILTERS = (
    Filter("add", _add),
    Filter("integer", _integer),
    Filter("float", _float),
    Filter("divisibleby", _divisibleby),
    Filter("get_digit", _get_digit),
    Filter("floatformat", _floatformat),
    _date("date"),
    _date("time"),
    Filter("stringformat", _stringformat),
)
