"""Writing items, whichever door they come by, and noting who did."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from datastore.models import Item, encrypt_value
from flyte_site.auth.activity_log import Actor, log_activity
from flyte_site.core.reencryption import ReencryptionCount, reencrypt_rows

MAX_KEY_LENGTH = 512
# A secret goes along with each action that it is drawn into, and results are searched for it.
MAX_SECRET_BYTES = 64 * 1024


class SecretTooLargeError(ValueError):
    """The value is longer than a secret one may be."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the value has {size} bytes; of a secret item {MAX_SECRET_BYTES} are taken")


@dataclass(frozen=True)
class ItemUpdate:
    """What is put under a key. `secret` None leaves it what it was; a new item is not secret then."""

    value: bytes
    content_type: str
    description: str = ""
    secret: bool | None = None


@transaction.atomic
def put_item(actor: Actor, key: str, update: ItemUpdate) -> bool:
    """Keep the value under the key; whether the item is new.

    Raises `NoKeysError` and `TooLongError` where it is to be secret and can't be.
    """
    is_secret = update.secret
    if is_secret is None:
        is_secret = Item.objects.select_for_update().filter(key=key, secret=True).exists()
    if is_secret and len(update.value) > MAX_SECRET_BYTES:
        raise SecretTooLargeError(len(update.value))
    fields = {
        "value": encrypt_value(key, update.value) if is_secret else update.value,
        "content_type": update.content_type,
        "description": update.description,
        "secret": is_secret,
    }
    _, created = Item.objects.update_or_create(key=key, defaults=fields)
    log_fields = {"secret": True} if is_secret else {"bytes": len(update.value)}
    log_activity(
        actor, "created" if created else "changed", "datastore item", key, contentType=update.content_type, **log_fields
    )
    return created


@transaction.atomic
def update_metadata(actor: Actor, key: str, content_type: str, description: str) -> None:
    """Change what is said about an item; its value stays as it is."""
    Item.objects.filter(key=key).update(content_type=content_type, description=description, updated_at=timezone.now())
    log_activity(actor, "changed", "datastore item", key, contentType=content_type, value="unchanged")


def reencrypt_items(*, dry_run: bool) -> Iterator[ReencryptionCount]:
    """Encrypt the values of secret items with the first key, where they are not. Raises `NoKeysError`."""
    return reencrypt_rows(Item.objects.filter(secret=True), "value", dry_run=dry_run)


@transaction.atomic
def delete_item(actor: Actor, key: str) -> bool:
    """Delete the item; False where there is none."""
    deleted, _ = Item.objects.filter(key=key).delete()
    if deleted:
        log_activity(actor, "deleted", "datastore item", key)
    return deleted > 0


def get_key_error(key: str) -> str:
    """What keeps a text from being a key; '' if nothing."""
    if len(key) > MAX_KEY_LENGTH or any(ord(character) < 32 or ord(character) == 127 for character in key):
        return f"has more than {MAX_KEY_LENGTH} or control characters"
    return ""
