"""Parsing of a request's body and query to JSON values."""

import codecs
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from flyte_formats.content_encoding import ContentEncodingError, ContentTooLargeError, CorruptContentError, decompress
from flyte_formats.decoding import decode_text, parse_charset
from flyte_formats.json_text import parse_json

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
    charset = parse_charset(content_type)
    if media_type == "application/json" or media_type.endswith("+json"):
        return _parse_json(decode_text(body, charset))
    if media_type == "application/x-www-form-urlencoded":
        return parse_form(body, charset)
    if media_type == "" or media_type.startswith("text/") or media_type.endswith("xml"):
        return decode_text(body, charset)
    raise RequestBodyError(415, "unsupported media type: send JSON, a form without multipart, or text")


def decode_content(body: bytes, content_encoding: str, max_bytes: int) -> bytes:
    """Decompress a body. Raises `RequestBodyError`, also if it is then larger than allowed."""
    try:
        return decompress(body, content_encoding, max_bytes)
    except ContentEncodingError as error:
        raise RequestBodyError(415, str(error)) from None
    except ContentTooLargeError as error:
        raise RequestBodyError(413, str(error)) from None
    except CorruptContentError as error:
        raise RequestBodyError(400, str(error)) from None


def parse_form(encoded: bytes, charset: str = "") -> Mapping[str, str | list[str]]:
    """Parse a form to names with their value, or with a list of values for repeated names."""
    # Latin-1 maps each byte to one character, so that each name and value is decoded by itself.
    text = encoded.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, encoding="latin-1", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise RequestBodyError(400, f"too many fields, at most {MAX_FIELDS} are allowed") from None
    values_by_name: dict[str, list[str]] = {}
    for name, value in pairs:
        values_by_name.setdefault(_decode_field(name, charset), []).append(_decode_field(value, charset))
    return {name: values[0] if len(values) == 1 else values for name, values in values_by_name.items()}


def _decode_field(text: str, charset: str) -> str:
    return decode_text(text.encode("latin-1"), charset)


def _parse_json(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise RequestBodyError(400, f"request body is not valid JSON: {str(error)[:200]}") from None
    except RecursionError:
        raise RequestBodyError(400, "request body is not valid JSON: nested too deeply") from None
