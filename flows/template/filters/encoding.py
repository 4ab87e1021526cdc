"""Filters that encode and decode: JSON, Base64, HTML entities, SHA-256."""

import base64
import binascii
import hashlib
import html
import json
import math
from typing import NoReturn

from flows.template.errors import OperationError
from flows.template.filters.base import Filter, FilterFunc, make_bound_filter
from flows.template.runtime.numbers import quote_text
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.resolve import get_type_name
from flows.template.runtime.values import encode_json_value, to_text
from flyte_formats.json_text import replace_escaped_surrogates

_BASE64_ALPHABETS = {"": base64.b64encode, "standard": base64.b64encode, "url": base64.urlsafe_b64encode}
_URL_TO_STANDARD = str.maketrans("-_", "+/")


def _tojson(value: object, argument: object, render_context: RenderContext) -> object:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=encode_json_value)
    except RecursionError:
        raise OperationError("tojson cannot write a value that is nested too deeply") from None
    except ValueError:
        raise OperationError("tojson cannot write a number that is not finite") from None
    # Join the halves of a surrogate pair; a single half becomes U+FFFD.
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not allowed")


def _parse_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"number {text[:20]} is too large")
    return number


def _fromjson(value: object, argument: object, render_context: RenderContext) -> object:
    if not isinstance(value, str):
        raise OperationError(f"fromjson needs a string, not {get_type_name(value)}")
    render_context.charge(len(value) >> 2)
    try:
        parsed: object = json.loads(
            value.removeprefix("\ufeff"), parse_constant=_reject_constant, parse_float=_parse_float
        )
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise OperationError(f"fromjson needs valid JSON, not {quote_text(value)}: {reason}") from None
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        raise OperationError(f"fromjson needs valid JSON: {reason[:100]}") from None
    parsed = replace_escaped_surrogates(parsed, value)
    render_context.taint.add_derived(parsed)
    return parsed


def _to_bytes(value: object) -> bytes:
    return to_text(value).encode(errors="replace")


def _bind_b64encode(argument: object) -> FilterFunc:
    alphabet = to_text(argument)
    if alphabet not in _BASE64_ALPHABETS:
        raise OperationError(f"b64encode takes 'url' for the URL-safe alphabet, not {quote_text(alphabet)}")
    encode = _BASE64_ALPHABETS[alphabet]

    def apply(value: object, _: object, render_context: RenderContext) -> object:
        text = encode(_to_bytes(value)).decode()
        render_context.taint.add_derived(text)
        return text

    return apply


def _b64decode(value: object, argument: object, render_context: RenderContext) -> object:
    """Decode both alphabets, with or without padding; white space, as in mails and certificates, is ignored."""
    data = "".join(to_text(value).split()).translate(_URL_TO_STANDARD).rstrip("=")
    try:
        text = base64.b64decode(data + "=" * (-len(data) % 4), validate=True).decode()
    except UnicodeDecodeError:
        raise OperationError("b64decode: the decoded bytes are not valid UTF-8") from None
    except (binascii.Error, ValueError):
        raise OperationError(f"b64decode needs Base64, not {quote_text(to_text(value))}") from None
    render_context.taint.add_derived(text)
    return text


def _sha256(value: object, argument: object, render_context: RenderContext) -> object:
    text = hashlib.sha256(_to_bytes(value)).hexdigest()
    render_context.taint.add_derived(text)
    return text


def _unescape(value: object, argument: object, render_context: RenderContext) -> object:
    text = html.unescape(to_text(value))
    render_context.taint.add_derived(text)
    return text


ENCODING_FILTERS = (
    Filter("tojson", _tojson),
    Filter("fromjson", _fromjson),
    make_bound_filter("b64encode", _bind_b64encode),
    Filter("b64decode", _b64decode),
    Filter("sha256", _sha256),
    Filter("unescape", _unescape),
)
