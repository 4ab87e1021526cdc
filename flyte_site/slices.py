"""Deleting many rows without keeping others from their work."""

import time
from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

SLICE = 500
SLICES_A_ROUND = 200
MOST_PAUSE_SECONDS = 0.1


def slices(doomed: "QuerySet[Any]", size: int = SLICE, most: int = SLICES_A_ROUND) -> Iterator[list[Any]]:
    """Primary keys of `doomed`, in its order, `size` at a time, read anew for each slice; at most `most` slices.

    Whoever takes a slice deletes it before the next is read; it ends where a slice could not be deleted. Between two
    slices is a pause about as long as the last one took: SQLite lets one write at a time, and those that wait only look
    now and then whether it is their turn.
    """
    last: list[Any] = []
    for _ in range(most):
        keys = list(doomed.values_list("pk", flat=True)[:size])
        if not keys or keys == last:
            return
        began = time.monotonic()
        yield keys
        time.sleep(min(time.monotonic() - began, MOST_PAUSE_SECONDS))
        last = keys


def delete_in_slices(doomed: "QuerySet[Any]", most: int = SLICES_A_ROUND) -> int:
    """Delete a bounded number of the rows, each slice in a transaction of its own; the number of them.

    A row that is doomed no more when its slice's turn comes stays.
    """
    return sum(_delete(doomed, keys) for keys in slices(doomed, most=most))


def _delete(doomed: "QuerySet[Any]", keys: list[Any]) -> int:
    with transaction.atomic():
        return doomed.order_by().filter(pk__in=keys).delete()[0]
