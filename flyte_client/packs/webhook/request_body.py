"""What stands in a request's body and query, as values that JSON can hold."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

MAX_FIELDS = 1000


class RequestBodyError(Exception):
    """The body is not what its media type says, or of a type that can't be told as JSON; the text says which."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def parse_body(content_type: str, body: bytes) -> Any:
    """JSON as its value, a form as a map, text as text; None where there is nothing. Raises `UnreadableError`."""
    media_type = content_type.partition(";")[0].strip().lower()
    if not body:
        return None
    text = _decode_text(body)
    if media_type == "application/json" or media_type.endswith("+json"):
        return _parse_json(text)
    if media_type == "application/x-www-form-urlencoded":
        return parse_form(text)
    if media_type == "" or media_type.startswith("text/") or media_type.endswith("xml"):
        return text
    raise RequestBodyError(415, "send JSON, a form that is no multipart, or text")


def parse_form(encoded: str) -> Mapping[str, str | list[str]]:
    """Names with their value, or with all their values where a name comes more than once."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise RequestBodyError(400, f"more than {MAX_FIELDS} fields") from None
    values_by_name: dict[str, list[str]] = {}
    for name, value in pairs:
        values_by_name.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in values_by_name.items()}


def _decode_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise RequestBodyError(415, "the body is not UTF-8") from None


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise RequestBodyError(400, "the body is not JSON") from None


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")
