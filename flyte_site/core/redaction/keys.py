"""What looks like a secret is not shown: values under keys such as `password` or `api_key`."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings

from flyte_site.core.timestamps import format_rfc3339

MASK = "••••••"


def is_secret_key(key: str) -> bool:
    """Whether a value under this key is masked: FLYTE_MASKED_KEYS has a name that is part of it.

    Capital letters and what stands between words don't count: `apikey` is part of `X-API-Key`.
    """
    normalized = _normalize(key)
    return any(name in normalized for name in _normalized_names(settings.FLYTE_MASKED_KEYS))


@lru_cache(maxsize=8)
def _normalized_names(setting: str) -> tuple[str, ...]:
    return tuple(name for name in map(_normalize, setting.split(",")) if name)


def _normalize(key: str) -> str:
    return re.sub(r"[\W_]+", "", key).lower()


def redact_keys(value: Any) -> Any:
    """The same JSON value, with `••••••` for every value under a key that looks like a secret's; null stays null."""
    if isinstance(value, Mapping):
        return {key: redact_field(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_keys(item) for item in value]
    return value


def redact_field(key: str, value: Any) -> Any:
    """The value as it may be shown under this key."""
    return MASK if value is not None and is_secret_key(key) else redact_keys(value)


def visible_text_contains(value: Any, text: str) -> bool:
    """Whether the text stands in one of the keys or texts of the JSON value as it may be shown; big and small letters
    are alike."""
    needle = text.casefold()
    return any(needle in visible_text.casefold() for visible_text in _iter_texts(redact_keys(value)))


def _iter_texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _iter_texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _iter_texts(item)
    else:
        yield value if isinstance(value, str) else json.dumps(value, default=_encode_other)


def preview_json(value: Any, max_length: int) -> str:
    """The value, masked, as the beginning of its JSON: at most `most` characters and `…`. Reads no more than that."""
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
