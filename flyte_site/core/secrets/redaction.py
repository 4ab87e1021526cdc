"""Redaction: secrets are replaced with a mask, by the name of their key or by their value.

Values under keys such as `password` are masked wherever a JSON value is shown (`redact_keys`). Known secrets are masked
in the values that programs return, in all common encodings (`redact_values`).
"""

import base64
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from django.conf import settings

from flyte_site.core.timestamps import format_rfc3339

MASK = "••••••"

# A shorter secret can occur in other texts by chance: it is masked only if it is a whole text.
MIN_REDACTABLE_LENGTH = 6
# Lines of a multi-line secret, such as a key, are masked separately from this length on.
MIN_REDACTABLE_LINE_LENGTH = 16
MAX_ENCODINGS = 2000

_JSON_CONSTANTS = {None: "null", True: "true", False: "false"}


def is_secret_key(key: str) -> bool:
    """Return True if values under this key are masked: it contains a name of FLYTE_MASKED_KEYS.

    Case and separators are ignored: `X-API-Key` contains `apikey`.
    """
    normalized = _normalize(key)
    return any(name in normalized for name in _normalized_names(settings.FLYTE_MASKED_KEYS))


@lru_cache(maxsize=8)
def _normalized_names(setting: str) -> tuple[str, ...]:
    return tuple(name for name in map(_normalize, setting.split(",")) if name)


def _normalize(key: str) -> str:
    return re.sub(r"[\W_]+", "", key).lower()


def redact_keys(value: Any) -> Any:
    """Copy a JSON value with a mask for every value under a secret key, except null."""
    if isinstance(value, Mapping):
        return {key: redact_field(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_keys(item) for item in value]
    return value


def iter_masked_texts(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value that `redact_keys` masks."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _iter_texts(item) if is_secret_key(key) else iter_masked_texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from iter_masked_texts(item)


def redact_field(key: str, value: Any) -> Any:
    """Return the value as it can be shown under this key."""
    return MASK if value is not None and is_secret_key(key) else redact_keys(value)


def visible_text_contains(value: Any, text: str) -> bool:
    """Return True if a key or text of the JSON value contains `text` after redaction, ignoring case."""
    needle = text.casefold()
    return any(needle in visible_text.casefold() for visible_text in _iter_texts(redact_keys(value)))


def preview_json(value: Any, max_length: int) -> str:
    """Return the start of the redacted value as JSON: up to `max_length` characters, then `…`. The rest is not read."""
    text = ""
    for chunk in _iter_json_chunks(value, max_length):
        text += chunk
        if len(text) > max_length:
            return text[:max_length] + "…"
    return text


def _iter_json_chunks(value: Any, max_length: int) -> Iterator[str]:
    if isinstance(value, Mapping):
        for index, (key, item) in enumerate(value.items()):
            yield (", " if index else "{") + json.dumps(str(key)[: max_length + 1], ensure_ascii=False) + ": "
            yield from (
                [json.dumps(MASK, ensure_ascii=False)] if _is_hidden(key, item) else _iter_json_chunks(item, max_length)
            )
        yield "}" if value else "{}"
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield ", " if index else "["
            yield from _iter_json_chunks(item, max_length)
        yield "]" if value else "[]"
    elif isinstance(value, str):
        yield json.dumps(value[: max_length + 1], ensure_ascii=False)
    else:
        yield json.dumps(value, default=_encode_other)


def _is_hidden(key: object, item: object) -> bool:
    return item is not None and isinstance(key, str) and is_secret_key(key)


def _encode_other(value: Any) -> str:
    return format_rfc3339(value) if hasattr(value, "astimezone") else f"<{type(value).__name__}>"


def redact_values(value: Any, secrets: Iterable[str]) -> Any:
    """Mask the secrets in all texts, keys and numbers of a JSON value; return the same object if it has no secrets."""
    unique_secrets = [*dict.fromkeys(text.strip() for text in secrets)]
    short = {text for text in unique_secrets if 0 < len(text) < MIN_REDACTABLE_LENGTH}
    encodings = _search_encodings(text for text in unique_secrets if len(text) >= MIN_REDACTABLE_LENGTH)
    # Searching one joined text is much cheaper than traversing the value for each encoding.
    all_text = "\n".join(_iter_texts(value))
    encodings = [encoding for encoding in encodings if encoding in all_text]
    return _map_texts(value, lambda text: _redact_text(text, encodings, short)) if encodings or short else value


def secrets_contained_in(secrets: Iterable[str], texts: Iterable[str]) -> list[str]:
    """Return the secrets that occur in one of the texts, in any encoding."""
    all_text = "\n".join(texts)
    return [secret for secret in secrets if any(encoding in all_text for encoding in _encodings(secret))]


def _redact_text(text: str, encodings: list[str], short: set[str]) -> str:
    if text.strip() in short:
        return MASK
    for encoding in encodings:
        if encoding in text:
            text = text.replace(encoding, MASK)
    return text


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {change(key): _map_texts(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_texts(item, change) for item in value]
    if isinstance(value, str):
        return change(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = str(value)
        return value if change(text) == text else MASK
    return value


def _iter_texts(value: Any) -> Iterator[str]:
    """Yield all keys and texts of a JSON value; other values as JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _iter_texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _iter_texts(item)
    elif value is None or isinstance(value, bool):
        yield _JSON_CONSTANTS[value]
    else:
        yield json.dumps(value, default=_encode_other)


def _search_encodings(secrets: Iterable[str]) -> list[str]:
    """Return all encodings of the secrets, longest first, so that replacing one leaves no part of another."""
    encodings: dict[str, None] = {}
    for secret in secrets:
        lines = [line.strip() for line in secret.splitlines()]
        for text in [secret, *(line for line in lines if len(line) >= MIN_REDACTABLE_LINE_LENGTH)]:
            encodings.update(dict.fromkeys(_encodings(text)))
        if len(encodings) > MAX_ENCODINGS:
            break
    return sorted(encodings, key=len, reverse=True)


def _encodings(text: str) -> Iterator[str]:
    """Yield a text as it is, in JSON, in a URL, quoted for a shell, in hexadecimal and in base64."""
    raw = text.encode("utf-8", "replace")
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield quote(text, safe="", errors="replace")
    yield quote(text, errors="replace")
    yield quote_plus(text, errors="replace")
    yield shlex.quote(text)[1:-1] if not text.isalnum() else text
    yield raw.hex()
    yield raw.hex().upper()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield from _base64_encodings(raw, encode)


def _base64_encodings(raw: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """Yield the base64 characters that `raw` determines in the base64 of longer data, for each offset modulo 3."""
    for offset in range(3):
        bits = 8 * offset
        first, last = -(-bits // 6), (bits + 8 * len(raw)) // 6
        if last - first >= MIN_REDACTABLE_LENGTH:
            yield encode(bytes(offset) + raw).decode()[first:last]
