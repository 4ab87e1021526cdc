"""What stands in a request's body and query, as values that JSON can hold."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

MOST_FIELDS = 1000


class UnreadableError(Exception):
    """The body is not what its media type says, or of a type that can't be told as JSON; the text says which."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_body(content_type: str, body: bytes) -> Any:
    """JSON as its value, a form as a map, text as text; None where there is nothing. Raises `UnreadableError`."""
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        return None
    text = _text(body)
    if kind == "application/json" or kind.endswith("+json"):
        return _json(text)
    if kind == "application/x-www-form-urlencoded":
        return fields(text)
    if kind == "" or kind.startswith("text/") or kind.endswith("xml"):
        return text
    raise UnreadableError(415, "send JSON, a form that is no multipart, or text")


def fields(encoded: str) -> Mapping[str, str | list[str]]:
    """Names with their value, or with all their values where a name comes more than once."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise UnreadableError(400, f"more than {MOST_FIELDS} fields") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise UnreadableError(415, "the body is not UTF-8") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise UnreadableError(400, "the body is not JSON") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")
