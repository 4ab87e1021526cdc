"""The filter `stringformat`: a value written as Go's fmt.Sprintf writes it.

The verbs are documented at https://pkg.go.dev/fmt. Width and precision are checked before anything is built.
"""

import re
from collections.abc import Callable
from datetime import datetime

from flows.lang.errors import RefusedError
from flows.lang.times import printed
from flows.lang.values import to_json

_VERB = re.compile(r"%([-+# 0]*)([0-9]*)(?:(\.)([0-9]*))?(.)", re.DOTALL)

_GO_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "float64"),
    (str, "string"),
    (list, "[]interface {}"),
    (dict, "map[string]interface {}"),
    (datetime, "time.Time"),
)


class _Spec:
    __slots__ = ("flags", "precision", "verb", "width")

    def __init__(self, flags: str, width: int, precision: int | None, verb: str) -> None:
        self.flags = flags
        self.width = width
        self.precision = precision
        self.verb = verb


def format_value(layout: str, value: object, limit: int) -> str:
    """`layout` with its verbs replaced by the value. limit: characters; raises RefusedError beyond."""
    out: list[str] = []
    position, used, room = 0, False, limit - len(layout)
    for match in _VERB.finditer(layout):
        out.append(layout[position : match.start()])
        position = match.end()
        if match[5] == "%":
            out.append("%")
            continue
        spec = _Spec(match[1], _size(match[2], limit) or 0, _precision(match, limit), match[5])
        out.append(f"%!{match[5]}(MISSING)" if used else _write(spec, value))
        used = True
        room -= len(out[-1])
        if room < 0:
            raise RefusedError(f"the text gets too long (more than {limit:,} characters)")
    rest = layout[position:].replace("%", "%!(NOVERB)")
    extra = "" if used else f"%!(EXTRA {_described(value)})"
    return "".join(out) + rest + extra


def _size(digits: str, limit: int) -> int | None:
    if not digits:
        return None
    if len(digits) > 9 or int(digits) > limit:
        raise RefusedError(f"stringformat gives at most {limit:,} characters")
    return int(digits)


def _precision(match: "re.Match[str]", limit: int) -> int | None:
    if match[3] is None:
        return None
    return _size(match[4], min(limit, 1000)) or 0


def _go_type(value: object) -> str:
    if value is None:
        return "<nil>"
    return next((name for kind, name in _GO_TYPES if isinstance(value, kind)), "map[string]interface {}")


def _described(value: object) -> str:
    return "<nil>" if value is None else f"{_go_type(value)}={_plain(value)}"


def _plain(value: object) -> str:
    """As `%v` writes it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _shortest(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{' '.join(map(_plain, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_plain(value[key])}' for key in sorted(value))}]"
    return printed(value) if isinstance(value, datetime) else to_json(value)


def _shortest(value: float) -> str:
    """As few digits as tell the number from all others; an exponent from 1e+06 on and below 1e-04."""
    digits, _, exponent = f"{value:.16e}".partition("e")
    for precision in range(17):
        digits, _, exponent = f"{value:.{precision}e}".partition("e")
        if float(f"{digits}e{exponent}") == value:
            break
    power = int(exponent)
    if -5 < power < 6:
        return repr(value).removesuffix(".0") if "e" not in repr(value) else f"{value:.17f}".rstrip("0")
    return f"{digits}e{exponent}"


def _write(spec: _Spec, value: object) -> str:
    write = _VERBS.get(spec.verb)
    body = write(spec, value) if write else None
    if body is None:
        return f"%!{spec.verb}({_described(value)})"
    return _pad(spec, body, value)


def _pad(spec: _Spec, body: str, value: object) -> str:
    if "-" in spec.flags:
        return body.ljust(spec.width)
    if "0" in spec.flags and isinstance(value, int | float):
        sign, digits = (body[0], body[1:]) if body[:1] in ("-", "+", " ") and body else ("", body)
        return sign + digits.rjust(spec.width - len(sign), "0")
    return body.rjust(spec.width)


def _signed(spec: _Spec, body: str) -> str:
    if body.startswith("-"):
        return body
    return "+" + body if "+" in spec.flags else " " + body if " " in spec.flags else body


def _general(spec: _Spec, value: object) -> str | None:
    body = _plain(value)
    if isinstance(value, str) and spec.precision is not None:
        return body[: spec.precision]
    return _signed(spec, body) if isinstance(value, int | float) and not isinstance(value, bool) else body


def _string(spec: _Spec, value: object) -> str | None:
    if isinstance(value, list):
        return f"[{' '.join(_write(_Spec('', 0, None, 's'), each) for each in value)}]"
    if isinstance(value, datetime):
        return printed(value)
    return (value if spec.precision is None else value[: spec.precision]) if isinstance(value, str) else None


def _quoted(spec: _Spec, value: object) -> str | None:
    return to_json(value) if isinstance(value, str) else None


def _integer(base: str) -> Callable[[_Spec, object], str | None]:
    def write(spec: _Spec, value: object) -> str | None:
        if isinstance(value, bool):
            return None
        if isinstance(value, int):
            body = format(abs(value), base)
            prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(base, "") if "#" in spec.flags else ""
            return _signed(spec, ("-" if value < 0 else "") + prefix + body)
        if isinstance(value, str) and base in "xX":
            return value.encode(errors="replace").hex() if base == "x" else value.encode(errors="replace").hex().upper()
        return None

    return write


def _float(verb: str) -> Callable[[_Spec, object], str | None]:
    def write(spec: _Spec, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            number = float(value)
        except OverflowError:
            raise RefusedError("the number is too large for a decimal number") from None
        if verb in "gG" and spec.precision is None:
            body = _shortest(number)
            return _signed(spec, body.upper() if verb == "G" else body)
        return _signed(spec, f"{number:.{6 if spec.precision is None else spec.precision}{verb}}")

    return write


def _character(spec: _Spec, value: object) -> str | None:
    if type(value) is not int:
        return None
    return chr(value) if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"


def _boolean(spec: _Spec, value: object) -> str | None:
    return _plain(value) if isinstance(value, bool) else None


def _type(spec: _Spec, value: object) -> str | None:
    return _go_type(value)


_VERBS: dict[str, Callable[[_Spec, object], str | None]] = {
    "v": _general,
    "s": _string,
    "q": _quoted,
    "d": _integer("d"),
    "x": _integer("x"),
    "X": _integer("X"),
    "o": _integer("o"),
    "b": _integer("b"),
    "c": _character,
    "f": _float("f"),
    "F": _float("F"),
    "e": _float("e"),
    "E": _float("E"),
    "g": _float("g"),
    "G": _float("G"),
    "t": _boolean,
    "T": _type,
}
