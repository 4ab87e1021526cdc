"""Re-encryption of rows with the first key, in small batches that don't block other writes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from flyte_site.core.secrets.encryption import DecryptionError, reencrypt
from flyte_site.db.batch_deletion import BATCH_SIZE, MAX_PAUSE_SECONDS


@dataclass(frozen=True)
class ReencryptionCount:
    """The numbers of examined, re-encrypted and unreadable rows."""

    examined: int = 0
    reencrypted: int = 0
    unreadable: int = 0

    def __add__(self, other: "ReencryptionCount") -> "ReencryptionCount":
        return ReencryptionCount(
            self.examined + other.examined, self.reencrypted + other.reencrypted, self.unreadable + other.unreadable
        )


def reencrypt_rows(
    rows: "QuerySet[Any]", field: str, *, dry_run: bool, batch_size: int = BATCH_SIZE
) -> Iterator[ReencryptionCount]:
    """Encrypt a field of the rows with the first key if it is not: in batches, each row separately.

    It can be stopped and restarted at any time. Raise `NoEncryptionKeysError`.
    """
    last_pk: Any = None
    while True:
        start = time.monotonic()
        remaining = rows.filter(pk__gt=last_pk) if last_pk is not None else rows
        batch = [(pk, bytes(token)) for pk, token in remaining.order_by("pk").values_list("pk", field)[:batch_size]]
        if not batch:
            return
        yield sum(
            (reencrypt_row(rows.filter(pk=pk), field, token, dry_run=dry_run) for pk, token in batch),
            ReencryptionCount(),
        )
        last_pk = batch[-1][0]
        # Pause as long as the batch took, because SQLite allows one writer at a time.
        time.sleep(min(time.monotonic() - start, MAX_PAUSE_SECONDS))


def reencrypt_row(row: "QuerySet[Any]", field: str, token: bytes, *, dry_run: bool) -> ReencryptionCount:
    """Re-encrypt the field of one row if it still contains the token."""
    try:
        new_token = reencrypt(token)
    except DecryptionError:
        return ReencryptionCount(1, 0, 1)
    # A value that was written in the meantime is already encrypted with the first key.
    if new_token is None or not (dry_run or row.filter(**{field: token}).update(**{field: new_token})):
        return ReencryptionCount(1)
    return ReencryptionCount(1, 1)
