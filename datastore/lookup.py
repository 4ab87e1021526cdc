"""Values for templates: `find(key)`."""

import threading
from typing import Any, NamedTuple

from cachetools import LRUCache, cached
from django.utils.http import parse_header_parameters

from datastore.models import Item
from flyte_site.core.encryption import DecryptionError
from flyte_site.http.parsing import decode_text, parse_json

MAX_CACHED_BYTES = 16 * 1024 * 1024


class _CachedValue(NamedTuple):
    value: Any
    size: int


class DatastoreValue(NamedTuple):
    """An item's value, and whether nobody may be shown it."""

    value: Any
    is_secret: bool


def get_value(key: str) -> Any:
    """As `find`, the value alone."""
    return find_value(key).value


def find_value(key: str) -> DatastoreValue:
    """The value under `key`: any JSON value where its content type is a JSON one, else text. One query.

    Raises `LookupError` with a message for the flow's writer where there is no such key, or its value can't be read.
    """
    # PostgreSQL has no NUL in its texts, and fails where one is asked for.
    fields = ("key", "value", "content_type", "secret")
    item = None if "\x00" in key else Item.objects.filter(key=key).only(*fields).first()
    if item is None:
        raise LookupError(f"the datastore has no item {key!r}")
    try:
        value = _decode_secret(item) if item.secret else _decode_cached(bytes(item.value), item.content_type).value
    except (DecryptionError, ValueError) as error:
        raise LookupError(f"the datastore's item {key!r} can't be read: {error}") from None
    return DatastoreValue(value, item.secret)


def _decode_secret(item: Item) -> Any:
    """A secret value, which is not kept in memory. Raises `UnreadableError`, and `ValueError` without a part of it."""
    plaintext = item.get_plaintext()
    try:
        return decode_value(plaintext, item.content_type)
    except ValueError:
        raise ValueError(f"its value is no {item.content_type}") from None


def _get_size(cached_value: _CachedValue) -> int:
    return cached_value.size


@cached(LRUCache(maxsize=MAX_CACHED_BYTES, getsizeof=_get_size), lock=threading.Lock())
def _decode_cached(value: bytes, content_type: str) -> _CachedValue:
    """What was read of a value is kept by the value itself, so that a new one is never taken for the old."""
    return _CachedValue(decode_value(value, content_type), len(value))


def decode_value(value: bytes, content_type: str) -> Any:
    """The JSON value or the text that these bytes are by their content type. Raises `ValueError`."""
    media_type, parameters = parse_header_parameters(content_type)
    text = decode_text(value, _get_charset(parameters))
    return parse_json(text.removeprefix("\ufeff")) if is_json_media_type(media_type) else text


def is_json_media_type(media_type: str) -> bool:
    """Whether values of this media type are JSON: `application/json`, `text/json`, `application/geo+json`."""
    subtype = media_type.lower().partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def _get_charset(parameters: dict[str, str]) -> str:
    # us-ascii is what the original notes where no content type was sent; what people upload then is UTF-8.
    charset = parameters.get("charset", "utf-8").lower()
    return "utf-8" if charset == "us-ascii" else charset
