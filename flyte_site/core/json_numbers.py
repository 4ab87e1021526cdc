"""Numbers as the original server's JSON encoder writes them."""

import math
from decimal import Decimal
from typing import Any

_MIN_EXPONENT_NUMBER = 1e21
_MAX_EXACT_INTEGER = 2**53


def to_json_number(value: float) -> int | float:
    """Return the integer for a finite float without a fraction below 1e21; other floats unchanged.

    Go writes such a float without a fraction (`3.0` as `3`), and its clients can't read `3.0` into an integer. Go pads
    the shortest digits with zeros, so `1.2345678901234567e19` becomes `12345678901234567000`.
    Negative zero keeps its sign, which Python's integers lack.
    """
    is_negative_zero = value == 0 and math.copysign(1, value) < 0
    if not value.is_integer() or abs(value) >= _MIN_EXPONENT_NUMBER or is_negative_zero:
        return value
    return int(value) if abs(value) <= _MAX_EXACT_INTEGER else int(Decimal(repr(value)))


def to_json_numbers(value: Any) -> Any:
    """Convert the floats in a JSON value with `to_json_number`."""
    if isinstance(value, float):
        return to_json_number(value)
    if isinstance(value, dict):
        return {key: to_json_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_json_numbers(item) for item in value]
    return value
