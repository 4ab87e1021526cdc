"""Writing items, whichever door they come by, and noting who did."""

from django.db import transaction

from datastore.models import Item
from flyte_site.changes import Actor, record

MAX_KEY = 512


@transaction.atomic
def put(actor: Actor, key: str, value: bytes, content_type: str, description: str) -> bool:
    """Keep the value under the key; whether the item is new."""
    kept = {"value": value, "content_type": content_type, "description": description}
    _, created = Item.objects.update_or_create(key=key, defaults=kept)
    what = "created" if created else "changed"
    record(actor, what, "datastore item", key, contentType=content_type, bytes=len(value))
    return created


@transaction.atomic
def delete(actor: Actor, key: str) -> bool:
    """Delete the item; False where there is none."""
    deleted, _ = Item.objects.filter(key=key).delete()
    if deleted:
        record(actor, "deleted", "datastore item", key)
    return deleted > 0


def key_fault(key: str) -> str:
    """What keeps a text from being a key; '' if nothing."""
    if len(key) > MAX_KEY or any(ord(character) < 32 or ord(character) == 127 for character in key):
        return f"has more than {MAX_KEY} or control characters"
    return ""
