"""Values that flows share."""

from typing import ClassVar

from django.db import models


class Item(models.Model):
    """A value of any kind under a key, with the content type it was sent as."""

    key = models.CharField(max_length=512, unique=True)
    value = models.BinaryField()
    content_type = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.key
