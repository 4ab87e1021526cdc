"""Where a secret turns up again in what a pack tells, it is masked: as it is, and as programs often write it down."""

import base64
import json
import shlex
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from flyte_site.masking import MASK

# A shorter text turns up by chance; it is masked only where it is all of a text.
LEAST = 6
# A line of a longer secret, such as a key of many lines, is one for itself from this length on.
LEAST_LINE = 16
MOST_FORMS = 2000


def without(value: Any, secrets: Iterable[str]) -> Any:
    """The same JSON value, with `••••••` wherever a text, or a key, has one of the secrets in it."""
    known = [*dict.fromkeys(text.strip() for text in secrets)]
    short = {text for text in known if 0 < len(text) < LEAST}
    forms = _forms(text for text in known if len(text) >= LEAST)
    # To look through one text is much cheaper than to go through all there is.
    whole = _all_texts(value)
    forms = [form for form in forms if form in whole]
    return _replaced(value, lambda text: _masked(text, forms, short)) if forms or short else value


def found_in(secrets: Iterable[str], texts: Iterable[str]) -> list[str]:
    """Those of the secrets that one of the texts has in it, in whatever form."""
    whole = "\n".join(texts)
    return [secret for secret in secrets if any(form in whole for form in _written(secret))]


def _all_texts(value: Any) -> str:
    return "\n".join(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _masked(text: str, forms: list[str], short: set[str]) -> str:
    if text.strip() in short:
        return MASK
    for form in forms:
        if form in text:
            text = text.replace(form, MASK)
    return text


def _replaced(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {change(key): _replaced(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, change) for each in value]
    if isinstance(value, str):
        return change(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = str(value)
        return value if change(text) == text else MASK
    return value


def _forms(secrets: Iterable[str]) -> list[str]:
    """The secrets in all forms that are looked for, the longest first, so that none hides in a rest of another."""
    found: dict[str, None] = {}
    for secret in secrets:
        lines = [line.strip() for line in secret.splitlines()]
        for text in [secret, *(line for line in lines if len(line) >= LEAST_LINE)]:
            found.update(dict.fromkeys(_written(text)))
        if len(found) > MOST_FORMS:
            break
    return sorted(found, key=len, reverse=True)


def _written(text: str) -> Iterator[str]:
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
        yield from _in_base64(raw, encode)


def _in_base64(raw: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """What base64 of any bytes has in it where these are among them: three forms, by where they begin."""
    for before in range(3):
        bits = 8 * before
        first, last = -(-bits // 6), (bits + 8 * len(raw)) // 6
        if last - first >= LEAST:
            yield encode(bytes(before) + raw).decode()[first:last]
