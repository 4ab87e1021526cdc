"""Parsing of a request's body and query to JSON values."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

MAX_FIELDS = 1000


class RequestBodyError(Exception):
    """A body that does not match its media type, or whose media type is not supported."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def parse_body(content_type: str, body: bytes) -> Any:
    """Parse JSON, a form (to a mapping) or text; return None for an empty body. Raises `RequestBodyError`."""
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
    raise RequestBodyError(415, "unsupported media type: send JSON, a form without multipart, or text")


def parse_form(encoded: str) -> Mapping[str, str | list[str]]:
    """Parse a form to names with their value, or with a list of values for repeated names."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise RequestBodyError(400, f"too many fields, at most {MAX_FIELDS} are allowed") from None
    values_by_name: dict[str, list[str]] = {}
    for name, value in pairs:
        values_by_name.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in values_by_name.items()}


def _decode_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise RequestBodyError(415, "request body is not UTF-8") from None


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise RequestBodyError(400, "request body is not valid JSON") from None


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not allowed in JSON")
