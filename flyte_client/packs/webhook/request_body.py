"""Parsing of a request's body and query to JSON values."""

import codecs
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from flyte_client.packs.webhook.http_messages import RequestBodyError
from flyte_client.packs.webhook.multipart_form import parse_multipart
from flyte_formats.content_encoding import ContentEncodingError, ContentTooLargeError, CorruptContentError, decompress
from flyte_formats.decoding import decode_text, parse_charset
from flyte_formats.json_text import parse_json

MAX_FIELDS = 1000
JSON_TYPE = "application/json"
JSON_TYPES = (JSON_TYPE, "text/json", "application/x-json", "application/csp-report")
JSON_LINES_TYPES = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-lines",
    "application/json-seq",
)
TEXT_TYPES = ("", "application/yaml", "application/x-yaml", "application/toml", "application/graphql")
MAX_LINES = 10_000


def parse_body(content_type: str, body: bytes) -> Any:
    """Parse JSON, lines of JSON (to a list), a form (to a mapping) or text; return None for an empty body.

    Raises `RequestBodyError`.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if not body:
        return None
    charset = parse_charset(content_type)
    if media_type in JSON_TYPES or media_type.endswith("+json"):
        return _parse_json(decode_text(body, charset))
    if media_type in JSON_LINES_TYPES:
        return _parse_json_lines(decode_text(body, charset))
    if media_type == "application/x-www-form-urlencoded":
        return _parse_form_or_json(body, charset)
    if media_type == "multipart/form-data":
        return parse_multipart(content_type, body)
    if media_type in TEXT_TYPES or media_type.startswith("text/") or media_type.endswith(("xml", "+yaml")):
        return decode_text(body, charset)
    raise RequestBodyError(
        415, f"unsupported media type {media_type[:100]!r}: send JSON, lines of JSON, a form, or text"
    )


def parse_json_field(name: str, content: Any) -> Any:
    """Return the JSON in the field `name` of a form, if the form has only this field; other content as it is."""
    if name and isinstance(content, dict) and list(content) == [name] and isinstance(content[name], str):
        return _parse_json(content[name])
    return content


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


def _parse_form_or_json(body: bytes, charset: str) -> Any:
    """Parse a form, or the JSON object or list that a program such as curl sends as a form by default.

    A form does not begin with these characters, because they are percent-encoded there.
    """
    text = decode_text(body)
    if text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        try:
            return parse_json(text)
        except json.JSONDecodeError:
            pass
        except ValueError:
            return _parse_json(text)
    return parse_form(body, charset)


def _parse_json_lines(text: str) -> list[Any]:
    """Parse one JSON value per line, or after each record separator (RFC 7464)."""
    lines = [line for line in re.split("[\n\x1e]", text) if line.strip()]
    if len(lines) > MAX_LINES:
        raise RequestBodyError(413, f"{len(lines)} lines of JSON, at most {MAX_LINES} are allowed")
    return [_parse_json(line, f"line {number}: ") for number, line in enumerate(lines, 1)]


def _parse_json(text: str, location: str = "") -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise RequestBodyError(400, f"request body is not valid JSON: {location}{str(error)[:200]}") from None
