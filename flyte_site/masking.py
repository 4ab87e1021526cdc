"""What looks like a secret is not shown: values under keys such as `password` or `api_key`."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings

from flyte_site.times import to_text

MASK = "••••••"


def is_secret(key: str) -> bool:
    """Whether a value under this key is masked: FLYTE_MASKED_KEYS has a name that is part of it.

    Capital letters and what stands between words don't count: `apikey` is part of `X-API-Key`.
    """
    plain = _plain(key)
    return any(name in plain for name in _plain_names(settings.FLYTE_MASKED_KEYS))


@lru_cache(maxsize=8)
def _plain_names(setting: str) -> tuple[str, ...]:
    return tuple(name for name in map(_plain, setting.split(",")) if name)


def _plain(key: str) -> str:
    return re.sub(r"[\W_]+", "", key).lower()


def masked(value: Any) -> Any:
    """The same JSON value, with `••••••` for every value under a key that looks like a secret's; null stays null."""
    if isinstance(value, Mapping):
        return {key: masked_at(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value


def masked_at(key: str, value: Any) -> Any:
    """The value as it may be shown under this key."""
    return MASK if value is not None and is_secret(key) else masked(value)


def shows(value: Any, text: str) -> bool:
    """Whether the text stands in one of the keys or texts of the JSON value as it may be shown; big and small letters
    are alike."""
    wanted = text.casefold()
    return any(wanted in one.casefold() for one in _texts(masked(value)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    else:
        yield value if isinstance(value, str) else json.dumps(value, default=_other)


def masked_text(value: Any, most: int) -> str:
    """The value, masked, as the beginning of its JSON: at most `most` characters and `…`. Reads no more than that."""
    text = ""
    for piece in _pieces(value, most):
        text += piece
        if len(text) > most:
            return text[:most] + "…"
    return text


def _pieces(value: Any, most: int) -> Iterator[str]:
    if isinstance(value, Mapping):
        for place, (key, item) in enumerate(value.items()):
            yield (", " if place else "{") + json.dumps(str(key)[: most + 1], ensure_ascii=False) + ": "
            yield from [json.dumps(MASK, ensure_ascii=False)] if _hidden(key, item) else _pieces(item, most)
        yield "}" if value else "{}"
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield ", " if place else "["
            yield from _pieces(item, most)
        yield "]" if value else "[]"
    elif isinstance(value, str):
        yield json.dumps(value[: most + 1], ensure_ascii=False)
    else:
        yield json.dumps(value, default=_other)


def _hidden(key: object, item: object) -> bool:
    return item is not None and isinstance(key, str) and is_secret(key)


def _other(value: Any) -> str:
    return to_text(value) if hasattr(value, "astimezone") else f"<{type(value).__name__}>"
