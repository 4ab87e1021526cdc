"""What is kept secret is encrypted with the operator's keys, by Fernet (AES-128-CBC with an HMAC-SHA256).

`FLYTE_ENCRYPTION_KEYS` lists them: the first one encrypts, any of them decrypts.
"""

import re
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

_KEY_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}=")
KEYS_GUIDE = "docs/how-to/keep-secrets.md"


class NoEncryptionKeysError(Exception):
    """There is no key to encrypt with."""

    def __init__(self) -> None:
        super().__init__(f"needs FLYTE_ENCRYPTION_KEYS, which this server has none of ({KEYS_GUIDE})")


class DecryptionError(Exception):
    """What is encrypted can't be read with the keys that there are; the message tells the operator why."""


def parse_keys(text: str) -> tuple[Fernet, ...]:
    """The keys in a list of them, separated by commas. Raises `ValueError`, whose message shows no key."""
    keys = [key.strip() for key in text.split(",")] if text.strip() else []
    fernets = []
    for number, key in enumerate(keys, start=1):
        # Fernet itself reads on past what is no base64.
        if not _KEY_PATTERN.fullmatch(key):
            requirement = "must be 32 bytes in URL-safe base64, 44 characters"
            raise ValueError(f"key {number} of {len(keys)} {requirement} ({KEYS_GUIDE} says how one is made)")
        fernets.append(Fernet(key))
    return tuple(fernets)


@lru_cache(maxsize=8)
def _cached_keys(setting: str) -> tuple[Fernet, ...]:
    return parse_keys(setting)


def has_keys() -> bool:
    """Whether there is a key to encrypt with."""
    return bool(_cached_keys(settings.FLYTE_ENCRYPTION_KEYS))


def encrypt(value: bytes) -> bytes:
    """The bytes encrypted with the first key, another text each time. Raises `NoKeysError`."""
    keys = _cached_keys(settings.FLYTE_ENCRYPTION_KEYS)
    if not keys:
        raise NoEncryptionKeysError
    return keys[0].encrypt(value)


def decrypt(token: bytes) -> bytes:
    """What `encrypt` was given. Raises `UnreadableError`."""
    keys = _cached_keys(settings.FLYTE_ENCRYPTION_KEYS)
    if not keys:
        raise DecryptionError("it is encrypted, and FLYTE_ENCRYPTION_KEYS has no key")
    try:
        return MultiFernet(keys).decrypt(token)
    except InvalidToken:
        raise DecryptionError("it was encrypted with a key that FLYTE_ENCRYPTION_KEYS lacks, or is damaged") from None


def reencrypt(token: bytes) -> bytes | None:
    """The same value encrypted with the first key; None where it is so. Raises `NoKeysError`, `UnreadableError`."""
    keys = _cached_keys(settings.FLYTE_ENCRYPTION_KEYS)
    if not keys:
        raise NoEncryptionKeysError
    try:
        keys[0].decrypt(token)
    except InvalidToken:
        return encrypt(decrypt(token))
    return None
