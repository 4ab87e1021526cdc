"""The filter `stringformat`: formats a value like Go's fmt.Sprintf.

The verbs are documented at https://pkg.go.dev/fmt. A verb for numbers reads text as a number (R17). A value that
does not fit its verb is printed as `%!d(bool=true)`, as in Go, with a warning. Width and precision are checked before
anything is built.
"""

import re
from collections.abc import Callable
from datetime import datetime

from flows.template.errors import OperationError
from flows.template.runtime.go_time import format_go_default
from flows.template.runtime.numbers import MAX_QUOTED_LENGTH, describe_not_numeric, parse_number, quote_text
from flows.template.runtime.resolve import get_type_name
from flows.template.runtime.values import is_number, to_json

_INTEGER_VERBS = frozenset("bcdoxX")
# `%x` of text is not here: it formats the bytes of the text.
_NUMERIC_VERBS = frozenset("bcdoeEfFgG")
_VERB_PATTERN = re.compile(r"%([-+# 0]*)([0-9]*)(?:(\.)([0-9]*))?(.)", re.DOTALL)

_GO_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "float64"),
    (str, "string"),
    (list, "[]interface {}"),
    (dict, "map[string]interface {}"),
    (datetime, "time.Time"),
)


class _FormatSpec:
    __slots__ = ("flags", "precision", "verb", "width")

    def __init__(self, flags: str, width: int, precision: int | None, verb: str) -> None:
        self.flags = flags
        self.width = width
        self.precision = precision
        self.verb = verb


def _ignore_warning(message: str) -> None:
    """Ignore the warning."""


def format_value(layout: str, value: object, max_length: int, warn: Callable[[str], None] = _ignore_warning) -> str:
    """Replace the verbs in `layout` by the value; call `warn` with a message if they do not fit it.

    Raises OperationError for text that is not a number, and for more than `max_length` characters.
    """
    output: list[str] = []
    position, is_used, remaining_length = 0, False, max_length - len(layout)
    for match in _VERB_PATTERN.finditer(layout):
        output.append(layout[position : match.start()])
        position = match.end()
        if match[5] == "%":
            output.append("%")
            continue
        spec = _FormatSpec(
            match[1], _parse_size(match[2], max_length) or 0, _parse_precision(match, max_length), match[5]
        )
        if is_used:
            output.append(f"%!{match[5]}(MISSING)")
            warn(f"stringformat has one value for several verbs, and prints {output[-1]}")
        else:
            output.append(_format_only_value(spec, value, warn))
        is_used = True
        remaining_length -= len(output[-1])
        if remaining_length < 0:
            raise OperationError(f"text is too long (more than {max_length:,} characters)")
    tail = layout[position:].replace("%", "%!(NOVERB)")
    extra = "" if is_used else f"%!(EXTRA {_describe_value(value)})"
    if extra:
        warn("stringformat has no verb for its value, such as %s or %d, and prints %!(EXTRA …)")
    elif "%" in tail:
        warn("stringformat has a % without a verb, and prints %!(NOVERB): write %% for a percent sign")
    return "".join(output) + tail + extra


def _parse_size(digits: str, max_size: int) -> int | None:
    if not digits:
        return None
    if len(digits) > 9 or int(digits) > max_size:
        raise OperationError(f"stringformat returns at most {max_size:,} characters")
    return int(digits)


def _parse_precision(match: "re.Match[str]", max_size: int) -> int | None:
    if match[3] is None:
        return None
    return _parse_size(match[4], min(max_size, 1000)) or 0


def _get_go_type(value: object) -> str:
    if value is None:
        return "<nil>"
    return next((name for python_type, name in _GO_TYPES if isinstance(value, python_type)), "map[string]interface {}")


def _describe_value(value: object) -> str:
    return "<nil>" if value is None else f"{_get_go_type(value)}={_format_default(value)}"


def _format_default(value: object) -> str:
    """Format like `%v`."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _format_shortest(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{' '.join(map(_format_default, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_format_default(value[key])}' for key in sorted(value))}]"
    return format_go_default(value) if isinstance(value, datetime) else to_json(value)


def _format_shortest(value: float) -> str:
    """Format with as few digits as identify the number; with an exponent from 1e+06 up and below 1e-04."""
    digits, _, exponent = f"{value:.16e}".partition("e")
    for precision in range(17):
        digits, _, exponent = f"{value:.{precision}e}".partition("e")
        if float(f"{digits}e{exponent}") == value:
            break
    power = int(exponent)
    if -5 < power < 6:
        return repr(value).removesuffix(".0") if "e" not in repr(value) else f"{value:.17f}".rstrip("0")
    return f"{digits}e{exponent}"


def _format_only_value(spec: _FormatSpec, value: object, warn: Callable[[str], None]) -> str:
    """Format the value of the filter; warn if it does not fit the verb."""
    number = _read_numeric_text(value, spec.verb) if isinstance(value, str) else value
    if isinstance(number, float) and number.is_integer() and spec.verb in _INTEGER_VERBS:
        number = int(number)
    body = _format_body(spec, number)
    if body is None or (isinstance(value, list) and "%!s(" in body):
        warn(f"stringformat cannot format {_describe_mismatch(spec, number)}")
        return _format_mismatch(spec, number) if body is None else body
    if isinstance(value, str) and spec.verb in "xX" and parse_number(value) is not None:
        warn(f"%{spec.verb} formats the characters of the string {quote_text(value)}: add |integer for the number")
    return _pad(spec, body, number)


def _read_numeric_text(text: str, verb: str) -> object:
    """Return the number that the text spells if the verb needs one, otherwise the text."""
    if verb not in _NUMERIC_VERBS:
        return text
    number = parse_number(text)
    if number is None:
        raise OperationError(describe_not_numeric(text))
    return number


def _describe_mismatch(spec: _FormatSpec, value: object) -> str:
    """Describe the value and the verb, the output, and a verb that fits."""
    name = f"{value}"[:MAX_QUOTED_LENGTH] if is_number(value) else get_type_name(value)
    if isinstance(value, float) and spec.verb in _INTEGER_VERBS:
        hint = ": use %.0f, or |integer before it"
    else:
        hint = ": use %v" if spec.verb in _VERB_FORMATTERS else ": unknown verb"
    return f"{name} with %{spec.verb}, and prints %!{spec.verb}(…){hint}"


def _format_verb(spec: _FormatSpec, value: object) -> str:
    body = _format_body(spec, value)
    return _format_mismatch(spec, value) if body is None else _pad(spec, body, value)


def _format_body(spec: _FormatSpec, value: object) -> str | None:
    format_body = _VERB_FORMATTERS.get(spec.verb)
    return format_body(spec, value) if format_body else None


def _format_mismatch(spec: _FormatSpec, value: object) -> str:
    return f"%!{spec.verb}({_describe_value(value)})"


def _pad(spec: _FormatSpec, body: str, value: object) -> str:
    if "-" in spec.flags:
        return body.ljust(spec.width)
    if "0" in spec.flags and isinstance(value, int | float):
        sign, digits = (body[0], body[1:]) if body[:1] in ("-", "+", " ") and body else ("", body)
        return sign + digits.rjust(spec.width - len(sign), "0")
    return body.rjust(spec.width)


def _add_sign(spec: _FormatSpec, body: str) -> str:
    if body.startswith("-"):
        return body
    return "+" + body if "+" in spec.flags else " " + body if " " in spec.flags else body


def _format_general(spec: _FormatSpec, value: object) -> str | None:
    body = _format_default(value)
    if isinstance(value, str) and spec.precision is not None:
        return body[: spec.precision]
    return _add_sign(spec, body) if isinstance(value, int | float) and not isinstance(value, bool) else body


def _format_string(spec: _FormatSpec, value: object) -> str | None:
    if isinstance(value, list):
        return f"[{' '.join(_format_verb(_FormatSpec('', 0, None, 's'), item) for item in value)}]"
    if isinstance(value, datetime):
        return format_go_default(value)
    return (value if spec.precision is None else value[: spec.precision]) if isinstance(value, str) else None


def _format_quoted(spec: _FormatSpec, value: object) -> str | None:
    return to_json(value) if isinstance(value, str) else None


def _make_integer_formatter(base: str) -> Callable[[_FormatSpec, object], str | None]:
    def format_integer(spec: _FormatSpec, value: object) -> str | None:
        if isinstance(value, bool):
            return None
        if isinstance(value, int):
            body = format(abs(value), base)
            prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(base, "") if "#" in spec.flags else ""
            return _add_sign(spec, ("-" if value < 0 else "") + prefix + body)
        if isinstance(value, str) and base in "xX":
            return value.encode(errors="replace").hex() if base == "x" else value.encode(errors="replace").hex().upper()
        return None

    return format_integer


def _make_float_formatter(verb: str) -> Callable[[_FormatSpec, object], str | None]:
    def format_float(spec: _FormatSpec, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            number = float(value)
        except OverflowError:
            raise OperationError("number is too large (more than 1.8e308)") from None
        if verb in "gG" and spec.precision is None:
            body = _format_shortest(number)
            return _add_sign(spec, body.upper() if verb == "G" else body)
        return _add_sign(spec, f"{number:.{6 if spec.precision is None else spec.precision}{verb}}")

    return format_float


def _format_character(spec: _FormatSpec, value: object) -> str | None:
    if type(value) is not int:
        return None
    return chr(value) if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"


def _format_boolean(spec: _FormatSpec, value: object) -> str | None:
    return _format_default(value) if isinstance(value, bool) else None


def _format_type(spec: _FormatSpec, value: object) -> str | None:
    return _get_go_type(value)


_VERB_FORMATTERS: dict[str, Callable[[_FormatSpec, object], str | None]] = {
    "v": _format_general,
    "s": _format_string,
    "q": _format_quoted,
    "d": _make_integer_formatter("d"),
    "x": _make_integer_formatter("x"),
    "X": _make_integer_formatter("X"),
    "o": _make_integer_formatter("o"),
    "b": _make_integer_formatter("b"),
    "c": _format_character,
    "f": _make_float_formatter("f"),
    "F": _make_float_formatter("F"),
    "e": _make_float_formatter("e"),
    "E": _make_float_formatter("E"),
    "g": _make_float_formatter("g"),
    "G": _make_float_formatter("G"),
    "t": _format_boolean,
    "T": _format_type,
}
