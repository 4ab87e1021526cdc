"""Numbers of templates: the reading of a value as a number, shared by operators, filters and tags (R17).

White space at the ends of a text is ignored. A missing value, `true` and `false` count as 0, as in the original, and a
text that is not a number is an error.
"""

import math
import re
from datetime import datetime

from flows.template.errors import OperationError
from flows.template.limits import MAX_DIGITS
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.resolve import get_type_name
from flows.template.runtime.values import is_number

_NUMBER = r"[+-]?(?:[0-9]+(\.[0-9]*)?|(\.[0-9]+))([eE][+-]?[0-9]+)?"
_NUMBER_PATTERN = re.compile(_NUMBER + r"\Z")
_NUMBER_WITH_UNIT_PATTERN = re.compile(_NUMBER + r"(\s*[^\s0-9.,'\"\\\x00-\x1f][^0-9'\"\\\x00-\x1f]{0,9})\Z")
_NUMBER_WITH_COMMAS_PATTERN = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?\Z")
# Also the digits of other scripts.
_DIGIT_PATTERN = re.compile(r"\d")
_OTHER_DIGIT_PATTERN = re.compile(r"[^\D0-9]")
_HEXADECIMAL_PREFIXES = ("0x", "0X")
MAX_QUOTED_LENGTH = 40
# Longer texts are not numbers, however much of them is white space: a search costs time.
MAX_NUMBER_LENGTH = 4 * MAX_DIGITS


class SpacedText(str):
    """Text with white space at an end that the template itself joined: `+` does not read it as a number."""

    __slots__ = ()


class SpacedLiteral(SpacedText):
    """A literal with white space at an end: `+` joins it with other text, but adds it to a number."""

    __slots__ = ()


def mark_spaced(text: str, text_type: type[SpacedText]) -> str:
    """Return the text as this type if it has white space at an end, otherwise unchanged."""
    return text_type(text) if text[:1].isspace() or text[-1:].isspace() else text


def parse_number(text: str) -> int | float | None:
    """Return the number that a whole text spells (`42`, `-1.5`, `1e3`), or None.

    White space around it, and a byte order mark before it, are ignored.
    """
    text = text.strip().removeprefix("\ufeff").lstrip() if len(text) <= MAX_NUMBER_LENGTH else ""
    match = _NUMBER_PATTERN.match(text) if len(text) <= MAX_DIGITS else None
    if match is None:
        return None
    if match[1] is None and match[2] is None and match[3] is None:
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else None


def read_number(value: object, render_context: RenderContext) -> int | float:
    """Return the number that a value is or spells; none, true and false count as 0, with a warning.

    Raises OperationError for any other value.
    """
    if type(value) is int or type(value) is float:
        return value
    if isinstance(value, str):
        number = parse_number(value)
        if number is None:
            raise OperationError(describe_not_numeric(value))
        return number
    if value is None or value is True or value is False:
        if render_context.collects_warnings:
            render_context.warn(f"{'none' if value is None else str(value).lower()} counts as 0 here")
        return 0
    if isinstance(value, datetime):
        raise OperationError("a time is not a number: use .Unix")
    raise OperationError(f"{get_type_name(value)} is not a number")


def read_number_or_zero(value: object, render_context: RenderContext) -> int | float:
    """Read a number as `read_number`, but count text without digits, and hexadecimal text, as 0, as the original does.

    Such text is a warning.
    """
    if not isinstance(value, str):
        return read_number(value, render_context)
    number = parse_number(value)
    if number is not None:
        return number
    if not _counts_as_zero(value):
        raise OperationError(describe_not_numeric(value))
    if render_context.collects_warnings:
        render_context.warn(f"{describe_not_numeric(value)}; it counts as 0")
    return 0


def _counts_as_zero(text: str) -> bool:
    return _DIGIT_PATTERN.search(text) is None or text.strip().lstrip("+-").startswith(_HEXADECIMAL_PREFIXES)


def read_int(value: object, render_context: RenderContext) -> int:
    """Read an integer as `read_number`, cut towards zero."""
    return cut_to_int(read_number(value, render_context))


def read_float(value: object, render_context: RenderContext) -> float:
    """Read a float as `read_number`."""
    return convert_to_float(read_number(value, render_context))


def cut_to_int(number: int | float) -> int:
    """Return the integer part of a number. Raises OperationError if it is not finite."""
    if type(number) is int:
        return number
    if not math.isfinite(number):
        raise OperationError("number is not finite")
    return int(number)


def convert_to_float(number: int | float) -> float:
    """Return the number as a float. Raises OperationError if it is too large."""
    try:
        return float(number)
    except OverflowError:
        raise OperationError("number is too large (more than 1.8e308)") from None


def read_number_pair(left: object, right: object) -> tuple[int | float, int | float] | None:
    """Return both values as numbers if each is a number or a text that spells one, otherwise None."""
    numbers = []
    for value in (left, right):
        parsed = parse_number(value) if isinstance(value, str) else value
        if type(parsed) is not int and type(parsed) is not float:
            return None
        numbers.append(parsed)
    return numbers[0], numbers[1]


def are_number_and_text(left: object, right: object) -> bool:
    """Return whether one of the values is a number and the other one is text."""
    return (is_number(left) and isinstance(right, str)) or (isinstance(left, str) and is_number(right))


def describe_not_numeric(text: str) -> str:
    """Describe a text that is not a number, with a hint if it is a number with a unit or with separators."""
    if len(text) > MAX_NUMBER_LENGTH:
        return f"a string of {len(text):,} characters is not a number"
    stripped = text.strip()
    if not stripped:
        return "an empty string is not a number"
    if _NUMBER_PATTERN.match(stripped):
        return f"{quote_text(stripped)} is too large for a number"
    return f"{quote_text(text)} is not a number{_suggest_cut(stripped)}"


def _suggest_cut(text: str) -> str:
    if _OTHER_DIGIT_PATTERN.search(text):
        return ": only the digits 0 to 9 are read"
    if match := _NUMBER_WITH_UNIT_PATTERN.match(text):
        return f": remove the unit, as in |cut:'{match[4]}'"
    return ": remove the commas, as in |cut:','" if _NUMBER_WITH_COMMAS_PATTERN.match(text) else ""


def quote_text(text: str) -> str:
    """Quote a text for a message, cut to MAX_QUOTED_LENGTH characters."""
    return repr(str(text)) if len(text) <= MAX_QUOTED_LENGTH else f"{str(text)[:MAX_QUOTED_LENGTH]!r}…"
