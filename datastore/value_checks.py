"""Checks of a value against its content type: problems that templates would have with it."""

from dataclasses import dataclass

from django.utils.http import parse_header_parameters

from datastore.lookup import decode_value, is_json_media_type
from flyte_site.http.input.parsing import DocumentError, parse_json

# In these types, a text that is also JSON is there on purpose.
JSON_SUPERSETS = ("yaml", "javascript", "ecmascript")


@dataclass(frozen=True)
class ValueWarning:
    """A probable mistake in a value that is stored nevertheless."""

    message: str
    path: str = "value"


def find_value_warnings(value: bytes, content_type: str, *, is_secret: bool = False) -> list[ValueWarning]:
    """Find the probable mistake in a value with this content type: it is not valid, or it is JSON of another type.

    Any bytes are valid for a type that is neither JSON nor text. The message quotes no part of a secret value.
    """
    media_type = parse_header_parameters(content_type)[0].lower()
    if not is_json_media_type(media_type) and not media_type.startswith("text/"):
        return _find_type_warnings(value, content_type)
    try:
        decode_value(value, content_type)
    except ValueError as error:
        reason = "" if is_secret else f" ({error})"
        return [ValueWarning(f"is not valid {content_type}{reason}; templates can't read it")]
    return _find_type_warnings(value, content_type)


def _find_type_warnings(value: bytes, content_type: str) -> list[ValueWarning]:
    if is_json_of_other_type(value, content_type):
        message = f"is JSON, but its type is {content_type}: templates read it as text, not as a map or list"
        return [ValueWarning(message)]
    return []


def is_json_of_other_type(value: bytes, content_type: str) -> bool:
    """Return whether the value is a JSON object or list in UTF-8, and its content type is not JSON."""
    media_type = parse_header_parameters(content_type)[0].lower()
    if is_json_media_type(media_type) or any(name in media_type for name in JSON_SUPERSETS):
        return False
    stripped = value.strip()
    if stripped[:1] + stripped[-1:] not in (b"{}", b"[]"):
        return False
    try:
        parse_json(stripped.decode())
    except (UnicodeDecodeError, DocumentError):
        return False
    return True
