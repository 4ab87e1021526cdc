"""Encryption with several keys: the first encrypts, every key decrypts, and a missing key is an error."""

import pytest
from django.test import override_settings

from flyte_site.core.secrets.encryption import (
    DecryptionError,
    NoEncryptionKeysError,
    decrypt,
    encrypt,
    has_keys,
    reencrypt,
)
from tests.secrets import FIRST, SECOND, THIRD

pytestmark = pytest.mark.unit


def with_keys(*keys: str) -> override_settings:
    return override_settings(FLYTE_ENCRYPTION_KEYS=",".join(keys))


def test_encrypted_values_can_be_decrypted_and_differ_each_time() -> None:
    with with_keys(FIRST):
        tokens = {encrypt(b"\x00value") for _ in range(3)}
        assert len(tokens) == 3
        assert {decrypt(token) for token in tokens} == {b"\x00value"}
        assert not any(b"value" in token for token in tokens)


def test_the_first_key_encrypts_and_every_key_decrypts() -> None:
    with with_keys(FIRST):
        old = encrypt(b"value")
    with with_keys(SECOND, FIRST):
        new = encrypt(b"value")
        assert (decrypt(old), decrypt(new)) == (b"value", b"value")
    with with_keys(SECOND):
        assert decrypt(new) == b"value"
        with pytest.raises(DecryptionError, match="a key that FLYTE_ENCRYPTION_KEYS lacks"):
            decrypt(old)


def test_without_keys_nothing_is_encrypted_or_decrypted() -> None:
    with with_keys(FIRST):
        token = encrypt(b"value")
    with with_keys():
        assert not has_keys()
        with pytest.raises(NoEncryptionKeysError):
            encrypt(b"value")
        with pytest.raises(DecryptionError, match="has no key"):
            decrypt(token)


def test_a_value_of_an_older_key_is_encrypted_again() -> None:
    with with_keys(FIRST):
        old = encrypt(b"value")
        assert reencrypt(old) is None
    with with_keys(SECOND, FIRST):
        new = reencrypt(old)
        assert new is not None
        assert reencrypt(new) is None
    with with_keys(SECOND):
        assert decrypt(new) == b"value"
    with with_keys(THIRD), pytest.raises(DecryptionError):
        reencrypt(new)


def test_a_changed_value_is_not_decrypted() -> None:
    with with_keys(FIRST):
        token = bytearray(encrypt(b"value"))
        token[20] ^= 1
        with pytest.raises(DecryptionError, match="damaged"):
            decrypt(bytes(token))
