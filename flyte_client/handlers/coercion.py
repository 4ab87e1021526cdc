"""Coercion of single input values. A template in a flow always yields text, so numeric text is accepted as a number.

An invalid value raises `ValueError`; several errors, or errors with paths, raise `CoercionError`.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from flyte_time.times import parse_time

Coercer = Callable[[Any], Any]

# The original's templates print the number 5 as 5.000000.
INTEGER = re.compile(r"\s*\ufeff?\s*([+-]?[0-9]{1,40})(?:\.0{1,40})?\s*\Z")
# Python's float also accepts underscores and the digits of other scripts.
NUMBER = re.compile(r"\s*\ufeff?\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*\Z")
TYPE_NAMES = {str: "text", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object"}


class CoercionError(ValueError):
    """Errors as pairs of a path below the value, such as `.folders[2]`, and a message."""

    def __init__(self, errors: Iterable[tuple[str, str]]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(f"{path} {message}" for path, message in self.errors))


def mismatch_error(message: str, raw_value: Any) -> ValueError:
    return ValueError(f"{message}, not {TYPE_NAMES.get(type(raw_value), 'null')}")


def extract_errors(error: ValueError) -> list[tuple[str, str]]:
    """Return the path and message of each error: from ours, from pydantic's, or from a handler's own `ValueError`."""
    if isinstance(error, CoercionError):
        return error.errors
    if hasattr(error, "errors") and callable(error.errors):
        return [(_format_path(details["loc"]), details["msg"]) for details in error.errors()]
    return [("", str(error))]


def _format_path(segments: Sequence[Any]) -> str:
    return "".join(f"[{segment}]" if isinstance(segment, int) else f".{segment}" for segment in segments)


def coerce_each(coerce: Coercer, raw_values: Mapping[str, Any]) -> dict[str, Any]:
    """Coerce all values; raise the errors of all of them, each with its key as a path."""
    values, errors = {}, []
    for key, raw_value in raw_values.items():
        try:
            values[key] = coerce(raw_value)
        except ValueError as error:
            errors += [(key + path, message) for path, message in extract_errors(error)]
    if errors:
        raise CoercionError(errors)
    return values


def to_text(raw_value: Any) -> str:
    if not isinstance(raw_value, str):
        raise mismatch_error("must be text", raw_value)
    return raw_value


def to_int(raw_value: Any) -> int:
    if isinstance(raw_value, str) and (match := INTEGER.match(raw_value)):
        return int(match[1])
    if isinstance(raw_value, bool) or not (isinstance(raw_value, int) or _is_integral(raw_value)):
        raise mismatch_error("must be a whole number", raw_value)
    return int(raw_value)


def _is_integral(raw_value: Any) -> bool:
    return isinstance(raw_value, float) and raw_value.is_integer()


def to_float(raw_value: Any) -> float:
    match = NUMBER.match(raw_value) if isinstance(raw_value, str) else None
    try:
        value = float(match[1] if match else raw_value) if match or _is_number(raw_value) else math.nan
    except OverflowError:
        value = math.nan
    if not math.isfinite(value):
        raise mismatch_error("must be a number", raw_value)
    return value


def _is_number(raw_value: Any) -> bool:
    return isinstance(raw_value, int | float) and not isinstance(raw_value, bool)


def to_bool(raw_value: Any) -> bool:
    if isinstance(raw_value, str) and raw_value.strip().lower() in ("true", "false"):
        return raw_value.strip().lower() == "true"
    if not isinstance(raw_value, bool):
        raise mismatch_error("must be true or false", raw_value)
    return raw_value


def to_none(raw_value: Any) -> None:
    if raw_value is not None:
        raise mismatch_error("must be null", raw_value)


def build_date_coercer(date_type: type[date]) -> Coercer:
    """Build a coercer from text, or seconds since 1970, to `datetime` or `date`; a time without a zone is in UTC."""
    noun, example = ("time", "2026-11-21T05:30:00Z") if date_type is datetime else ("date", "2026-11-21")

    def coerce(raw_value: Any) -> date:
        try:
            moment = parse_time(raw_value)
        except ValueError:
            raise mismatch_error(f"must be a {noun}, such as {example}", raw_value) from None
        return moment if date_type is datetime else moment.date()

    return coerce


def build_choice_coercer(values: Sequence[Any], convert: Coercer = lambda value: value) -> Coercer:
    """Build a coercer that accepts one of these values, or its text."""

    def coerce(raw_value: Any) -> Any:
        for value in values:
            if (type(value) is type(raw_value) and value == raw_value) or (
                isinstance(raw_value, str) and str(value) in (raw_value, raw_value.strip())
            ):
                return convert(value)
        raise ValueError(f"must be one of {', '.join(map(str, values))}")

    return coerce
