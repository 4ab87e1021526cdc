"""Rows that were encrypted with an older key are encrypted anew, without keeping others from their work."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from flyte_site.core.encryption import DecryptionError, reencrypt
from flyte_site.db.batches import BATCH_SIZE, MAX_PAUSE_SECONDS


@dataclass(frozen=True)
class ReencryptionCount:
    """How many rows were looked at, how many of them had to be encrypted anew, and how many no key opens."""

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
    """Encrypt a field of the rows with the first key, where it is not: a slice at a time, each row by itself.

    It may be stopped and begun again at any time. Raises `NoKeysError`.
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
        # As long as it took others have their turn: SQLite lets one write at a time.
        time.sleep(min(time.monotonic() - start, MAX_PAUSE_SECONDS))


def reencrypt_row(row: "QuerySet[Any]", field: str, token: bytes, *, dry_run: bool) -> ReencryptionCount:
    """Encrypt the field of the one row anew, if it still holds the token."""
    try:
        new_token = reencrypt(token)
    except DecryptionError:
        return ReencryptionCount(1, 0, 1)
    # Whoever has put another value meanwhile has encrypted it with the key of today.
    if new_token is None or not (dry_run or row.filter(**{field: token}).update(**{field: new_token})):
        return ReencryptionCount(1)
    return ReencryptionCount(1, 1)
