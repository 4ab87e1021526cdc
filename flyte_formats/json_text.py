"""JSON from other systems, which is not always valid: NaN, and numbers that are too large for a double."""

import json
import math
import sys
from collections.abc import Callable
from typing import Any, NoReturn


def parse_json(text: str) -> Any:
    """Parse JSON. Raises `ValueError`, also for numbers that JSON can't hold, and `RecursionError`."""
    return _load(text, _reject_number)


def parse_lenient_json(text: str) -> Any:
    """Parse JSON, with None for numbers that JSON can't hold. Raises `ValueError` and `RecursionError`."""
    return _load(text, lambda _: None)


def _load(text: str, convert_invalid: Callable[[str], Any]) -> Any:
    def parse_float(number: str) -> Any:
        value = float(number)
        return value if math.isfinite(value) else convert_invalid(number)

    try:
        return json.loads(text.removeprefix("\ufeff"), parse_float=parse_float, parse_constant=convert_invalid)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if "set_int_max_str_digits" not in str(error):
            raise
        maximum = sys.get_int_max_str_digits()
        raise ValueError(f"a number has more than {maximum} digits, which JSON can't hold") from None


def _reject_number(number: str) -> NoReturn:
    raise ValueError(f"{number[:20]} is not a number that JSON can hold")
