"""JSON from other systems: NaN, numbers that are too large for a double, and documents that are nested too deeply."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from flyte_formats.characters import replace_surrogates

MAX_DEPTH = 100
"""The maximum number of nested lists and objects in a document that the server accepts."""


_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class NestingError(ValueError):
    """A document with more nested lists and objects than are allowed."""

    def __init__(self) -> None:
        super().__init__(f"nested deeper than {MAX_DEPTH} levels")


def parse_json(text: str) -> Any:
    """Parse JSON. Raises `ValueError`, also for numbers that JSON can't hold, and `NestingError`."""
    value = _load(text, _reject_number)
    check_depth(value, text)
    return value


def parse_lenient_json(text: str) -> Any:
    """Parse JSON of any depth, with None for numbers that JSON can't hold.

    Raises `ValueError`, and `NestingError` if it is nested too deeply for Python.
    """
    return _load(text, lambda _: None)


def check_depth(value: Any, text: str) -> None:
    """Raise `NestingError` if the value, whose JSON is `text`, has more than MAX_DEPTH levels."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _get_children(parent)]
        if not level:
            return
    raise NestingError


def replace_escaped_surrogates(value: Any, text: str) -> Any:
    """Return the value, whose JSON is `text`, with U+FFFD for unpaired surrogates in its keys and texts."""
    return _replace_all_surrogates(value) if _ESCAPED_SURROGATE.search(text) else value


def _replace_all_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, list):
        return [_replace_all_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_replace_all_surrogates(key): _replace_all_surrogates(item) for key, item in value.items()}
    return value


def _get_children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _load(text: str, convert_invalid: Callable[[str], Any]) -> Any:
    def parse_float(number: str) -> Any:
        value = float(number)
        return value if math.isfinite(value) else convert_invalid(number)

    try:
        return json.loads(text.removeprefix("\ufeff"), parse_float=parse_float, parse_constant=convert_invalid)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise NestingError from None
    except ValueError as error:
        if "set_int_max_str_digits" not in str(error):
            raise
        maximum = sys.get_int_max_str_digits()
        raise ValueError(f"a number has more than {maximum} digits, which JSON can't hold") from None


def _reject_number(number: str) -> NoReturn:
    raise ValueError(f"{number[:20]} is not a number that JSON can hold")
