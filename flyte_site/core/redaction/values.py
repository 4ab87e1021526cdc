"""Where a secret turns up again in what a pack tells, it is masked: as it is, and as programs often write it down."""

import base64
import json
import shlex
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from flyte_site.core.redaction.keys import MASK

# A shorter text turns up by chance; it is masked only where it is all of a text.
MIN_REDACTABLE_LENGTH = 6
# A line of a longer secret, such as a key of many lines, is one for itself from this length on.
MIN_REDACTABLE_LINE_LENGTH = 16
MAX_FORMS = 2000


def redact_values(value: Any, secrets: Iterable[str]) -> Any:
    """The same JSON value, with `••••••` wherever a text, or a key, has one of the secrets in it."""
    unique_secrets = [*dict.fromkeys(text.strip() for text in secrets)]
    short = {text for text in unique_secrets if 0 < len(text) < MIN_REDACTABLE_LENGTH}
    forms = _searched_forms(text for text in unique_secrets if len(text) >= MIN_REDACTABLE_LENGTH)
    # To look through one text is much cheaper than to go through all there is.
    all_text = _join_texts(value)
    forms = [form for form in forms if form in all_text]
    return _map_texts(value, lambda text: _redact_text(text, forms, short)) if forms or short else value


def secrets_contained_in(secrets: Iterable[str], texts: Iterable[str]) -> list[str]:
    """Those of the secrets that one of the texts has in it, in whatever form."""
    all_text = "\n".join(texts)
    return [secret for secret in secrets if any(form in all_text for form in _encodings(secret))]


def _join_texts(value: Any) -> str:
    return "\n".join(_iter_texts(value))


def _iter_texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _iter_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _iter_texts(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _redact_text(text: str, forms: list[str], short: set[str]) -> str:
    if text.strip() in short:
        return MASK
    for form in forms:
        if form in text:
            text = text.replace(form, MASK)
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


def _searched_forms(secrets: Iterable[str]) -> list[str]:
    """The secrets in all forms that are looked for, the longest first, so that none hides in a rest of another."""
    forms: dict[str, None] = {}
    for secret in secrets:
        lines = [line.strip() for line in secret.splitlines()]
        for text in [secret, *(line for line in lines if len(line) >= MIN_REDACTABLE_LINE_LENGTH)]:
            forms.update(dict.fromkeys(_encodings(text)))
        if len(forms) > MAX_FORMS:
            break
    return sorted(forms, key=len, reverse=True)


def _encodings(text: str) -> Iterator[str]:
    """A text, and what it looks like in JSON, in an address, quoted for a shell, and in base64 and hexadecimal."""
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
    """What base64 of any bytes has in it where these are among them: three forms, by where they begin."""
    for offset in range(3):
        bits = 8 * offset
        first, last = -(-bits // 6), (bits + 8 * len(raw)) // 6
        if last - first >= MIN_REDACTABLE_LENGTH:
            yield encode(bytes(offset) + raw).decode()[first:last]
