"""Writes to items, from the API, the console and plugins, with their record in the activity log."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from datastore.models import Item, encrypt_value
from flyte_formats.characters import has_control_characters
from flyte_site.auth.activity_log import Actor, log_activity
from flyte_site.core.dot_segments import get_dot_segment_error
from flyte_site.core.secrets.reencryption import ReencryptionCount, reencrypt_rows
from flyte_site.db.conflicts import retry_conflicts

MAX_KEY_LENGTH = 512
# A secret is stored with each action that uses it, and results are searched for it.
MAX_SECRET_BYTES = 64 * 1024


class SecretTooLargeError(ValueError):
    """The value exceeds the size limit of secret items."""

    def __init__(self, size: int) -> None:
        super().__init__(f"secret value of {size} bytes exceeds the limit of {MAX_SECRET_BYTES} bytes")


@dataclass(frozen=True)
class ItemUpdate:
    """A new value for a key. `secret=None` keeps the current setting; a new item is not secret by default."""

    value: bytes
    content_type: str
    description: str = ""
    secret: bool | None = None


@retry_conflicts
@transaction.atomic
def put_item(actor: Actor, key: str, update: ItemUpdate) -> bool:
    """Create or replace the value; return True if the item is new.

    Raise `NoEncryptionKeysError` or `SecretTooLargeError` if it can't be stored as a secret.
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


@retry_conflicts
@transaction.atomic
def update_metadata(actor: Actor, key: str, content_type: str, description: str) -> None:
    """Change an item's content type and description; its value stays."""
    Item.objects.filter(key=key).update(content_type=content_type, description=description, updated_at=timezone.now())
    log_activity(actor, "changed", "datastore item", key, contentType=content_type, value="unchanged")


def reencrypt_items(*, dry_run: bool) -> Iterator[ReencryptionCount]:
    """Encrypt secret values with the first key if another one was used. Raise `NoEncryptionKeysError`."""
    return reencrypt_rows(Item.objects.filter(secret=True), "value", dry_run=dry_run)


@retry_conflicts
@transaction.atomic
def delete_item(actor: Actor, key: str) -> bool:
    """Delete the item; return False if it does not exist."""
    deleted, _ = Item.objects.filter(key=key).delete()
    if deleted:
        log_activity(actor, "deleted", "datastore item", key)
    return deleted > 0


def get_key_error(key: str) -> str:
    """Return the reason why a key is invalid; '' if it is valid."""
    if len(key) > MAX_KEY_LENGTH or has_control_characters(key):
        return f"must have at most {MAX_KEY_LENGTH} characters and no control characters"
    return get_dot_segment_error(key)
