"""Values that flows share."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from flyte_site.core.encryption import DecryptionError, decrypt, encrypt


class Item(models.Model):
    """A value of any kind under a key, with the content type it was sent as.

    Of a secret one `value` is encrypted together with the key, so that it can't be taken for another item's.
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
        """The value as it was put. Raises `UnreadableError` where it is secret, and no key opens it."""
        if not self.secret:
            return bytes(self.value)
        key, _, value = decrypt(bytes(self.value)).partition(b"\x00")
        if key != self.key.encode():
            raise DecryptionError("it was encrypted as another item")
        return value


def encrypt_value(key: str, value: bytes) -> bytes:
    """A value as a secret item keeps it. Raises `NoKeysError`."""
    return encrypt(key.encode() + b"\x00" + value)
