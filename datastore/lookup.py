"""Values of datastore items for templates and plugins."""

import threading
from typing import Any, NamedTuple

from cachetools import LRUCache, cached
from django.utils.http import parse_header_parameters

from datastore.models import Item
from flyte_site.core.secrets.encryption import DecryptionError
from flyte_site.http.input.parsing import decode_text, parse_json

MAX_CACHED_BYTES = 16 * 1024 * 1024


class _CachedValue(NamedTuple):
    value: Any
    size: int


class DatastoreValue(NamedTuple):
    """An item's value, True if it is secret, and its content type."""

    value: Any
    is_secret: bool
    content_type: str


def get_value(key: str) -> Any:
    """Return the value of `find_value`, without its secrecy."""
    try:
        return find_value(key).value
    except KeyError as error:
        raise LookupError(error.args[0]) from None  # the text of a KeyError has quotes


def find_value(key: str) -> DatastoreValue:
    """Return the value of a key: decoded JSON if its content type is JSON, otherwise text. One query.

    Raise `KeyError` if the key is not found, and `LookupError` if its value can't be decoded, with a message for the
    author of the flow.
    """
    # PostgreSQL does not store NUL characters, and fails if a query has one.
    fields = ("key", "value", "content_type", "secret")
    item = None if "\x00" in key else Item.objects.filter(key=key).only(*fields).first()
    if item is None:
        raise KeyError(f"datastore item {key!r} not found")
    try:
        value = _decode_secret(item) if item.secret else _decode_cached(bytes(item.value), item.content_type).value
    except (DecryptionError, ValueError) as error:
        raise LookupError(f"can't read datastore item {key!r}, stored as {item.content_type}: {error}") from None
    return DatastoreValue(value, item.secret, item.content_type)


def _decode_secret(item: Item) -> Any:
    """Decode a secret value, without caching it. Raise `DecryptionError`, or `ValueError` that reveals no part of the
    value.
    """
    plaintext = item.get_plaintext()
    try:
        return decode_value(plaintext, item.content_type)
    except ValueError:
        raise ValueError(f"its value is not valid {item.content_type}") from None


def _get_size(cached_value: _CachedValue) -> int:
    return cached_value.size


@cached(LRUCache(maxsize=MAX_CACHED_BYTES, getsizeof=_get_size), lock=threading.Lock())
def _decode_cached(value: bytes, content_type: str) -> _CachedValue:
    """Decode a value. The value itself is the cache key, so that a new one is never mistaken for the old one."""
    return _CachedValue(decode_value(value, content_type), len(value))


def decode_value(value: bytes, content_type: str, *, unique_keys: bool = False) -> Any:
    """Decode bytes into JSON or text by their content type. Raise `ValueError` if they are invalid.

    The last of duplicate keys in JSON counts; with `unique_keys` they are an error.
    """
    media_type, parameters = parse_header_parameters(content_type)
    text = decode_text(value, _get_charset(parameters))
    if not is_json_media_type(media_type):
        return text
    return parse_json(text.removeprefix("\ufeff"), unique_keys=unique_keys)


def is_json_media_type(media_type: str) -> bool:
    """Return True for JSON media types: `application/json`, `text/json`, `application/geo+json`."""
    subtype = media_type.lower().partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def _get_charset(parameters: dict[str, str]) -> str:
    # us-ascii is the original's default if no content type was sent; such uploads are UTF-8.
    charset = parameters.get("charset", "utf-8").lower()
    return "utf-8" if charset == "us-ascii" else charset
