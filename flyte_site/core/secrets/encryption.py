"""Encryption of stored secrets with the operator's keys, by Fernet (AES-128-CBC with an HMAC-SHA256).

`FLYTE_ENCRYPTION_KEYS` lists the keys: the first one encrypts, all of them decrypt.
"""

import re
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

_KEY_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}=")
KEYS_GUIDE = "docs/how-to/keep-secrets.md"


class NoEncryptionKeysError(Exception):
    """An attempt to encrypt without a configured key."""

    def __init__(self) -> None:
        super().__init__(f"needs FLYTE_ENCRYPTION_KEYS, which is not set on this server (see {KEYS_GUIDE})")


class DecryptionError(Exception):
    """A value that the configured keys can't decrypt; the message is for the operator."""


def parse_keys(text: str) -> tuple[Fernet, ...]:
    """Parse a comma-separated list of keys. Raise `ValueError`; its message contains no key."""
    keys = [key.strip() for key in text.split(",")] if text.strip() else []
    fernets = []
    for number, key in enumerate(keys, start=1):
        # Fernet itself ignores characters that are not base64.
        if not _KEY_PATTERN.fullmatch(key):
            requirement = "it must be 44 characters of URL-safe Base64, which are 32 bytes"
            raise ValueError(f"key {number} of {len(keys)} is invalid: {requirement} (see {KEYS_GUIDE})")
        fernets.append(Fernet(key))
    return tuple(fernets)


@lru_cache(maxsize=8)
def _cached_keys(setting: str) -> tuple[Fernet, ...]:
    return parse_keys(setting)


def has_keys() -> bool:
    """Return True if an encryption key is configured."""
    return bool(_cached_keys(settings.FLYTE_ENCRYPTION_KEYS))


def encrypt(value: bytes) -> bytes:
    """Encrypt with the first key; each call returns a different token. Raise `NoEncryptionKeysError`."""
    keys = _cached_keys(settings.FLYTE_ENCRYPTION_KEYS)
    if not keys:
        raise NoEncryptionKeysError
    return keys[0].encrypt(value)


def decrypt(token: bytes) -> bytes:
    """Decrypt a token of `encrypt`. Raise `DecryptionError`."""
    keys = _cached_keys(settings.FLYTE_ENCRYPTION_KEYS)
    if not keys:
        raise DecryptionError("it is encrypted, but FLYTE_ENCRYPTION_KEYS has no key")
    try:
        return MultiFernet(keys).decrypt(token)
    except InvalidToken:
        raise DecryptionError("it is damaged, or was encrypted with a key that FLYTE_ENCRYPTION_KEYS lacks") from None


def reencrypt(token: bytes) -> bytes | None:
    """Re-encrypt with the first key; return None if it already is. Raise `NoEncryptionKeysError`, `DecryptionError`."""
    keys = _cached_keys(settings.FLYTE_ENCRYPTION_KEYS)
    if not keys:
        raise NoEncryptionKeysError
    try:
        keys[0].decrypt(token)
    except InvalidToken:
        return encrypt(decrypt(token))
    return None
