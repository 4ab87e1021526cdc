"""Values that flows share."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from flyte_site.core.secrets.encryption import DecryptionError, decrypt, encrypt


class Item(models.Model):
    """A value of any kind under a key, with its content type.

    A secret `value` is encrypted together with the key, so that it can't be copied to another item.
    """

    key = models.CharField(max_length=512, unique=True)
    value = models.BinaryField()
    content_type = models.CharField(max_length=255)
    secret = models.BooleanField(default=False)
    description = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["id"], condition=Q(secret=True), name="secret_items")]

    def __str__(self) -> str:
        return self.key

    def get_plaintext(self) -> bytes:
        """Return the original value. Raise `DecryptionError` if it is secret and no key can decrypt it."""
        if not self.secret:
            return bytes(self.value)
        key, _, value = decrypt(bytes(self.value)).partition(b"\x00")
        if key != self.key.encode():
            raise DecryptionError("it was encrypted for another item")
        return value


def encrypt_value(key: str, value: bytes) -> bytes:
    """Encrypt a value for a secret item. Raise `NoEncryptionKeysError`."""
    return encrypt(key.encode() + b"\x00" + value)
