"""Rows that were encrypted with an older key are encrypted anew, without keeping others from their work."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from flyte_site.encryption import UnreadableError, renewed
from flyte_site.slices import MOST_PAUSE_SECONDS, SLICE


@dataclass(frozen=True)
class Renewed:
    """How many rows were looked at, how many of them had to be encrypted anew, and how many no key opens."""

    seen: int = 0
    renewed: int = 0
    unreadable: int = 0

    def __add__(self, other: "Renewed") -> "Renewed":
        return Renewed(self.seen + other.seen, self.renewed + other.renewed, self.unreadable + other.unreadable)


def renew_rows(rows: "QuerySet[Any]", field: str, *, dry_run: bool, size: int = SLICE) -> Iterator[Renewed]:
    """Encrypt a field of the rows with the first key, where it is not: a slice at a time, each row by itself.

    It may be stopped and begun again at any time. Raises `NoKeysError`.
    """
    last: Any = None
    while True:
        began = time.monotonic()
        following = rows.filter(pk__gt=last) if last is not None else rows
        found = [(pk, bytes(token)) for pk, token in following.order_by("pk").values_list("pk", field)[:size]]
        if not found:
            return
        yield sum((renew_row(rows.filter(pk=pk), field, token, dry_run=dry_run) for pk, token in found), Renewed())
        last = found[-1][0]
        # As long as it took others have their turn: SQLite lets one write at a time.
        time.sleep(min(time.monotonic() - began, MOST_PAUSE_SECONDS))


def renew_row(row: "QuerySet[Any]", field: str, token: bytes, *, dry_run: bool) -> Renewed:
    """Encrypt the field of the one row anew, if it still holds the token."""
    try:
        fresh = renewed(token)
    except UnreadableError:
        return Renewed(1, 0, 1)
    # Whoever has put another value meanwhile has encrypted it with the key of today.
    if fresh is None or not (dry_run or row.filter(**{field: token}).update(**{field: fresh})):
        return Renewed(1)
    return Renewed(1, 1)
