"""Deleting many rows without keeping others from their work."""

import time
from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

BATCH_SIZE = 500
MAX_BATCHES_PER_RUN = 200
MAX_PAUSE_SECONDS = 0.1


def iter_batches(
    queryset: "QuerySet[Any]", batch_size: int = BATCH_SIZE, max_batches: int = MAX_BATCHES_PER_RUN
) -> Iterator[list[Any]]:
    """Primary keys of `doomed`, in its order, `size` at a time, read anew for each slice; at most `most` slices.

    Whoever takes a slice deletes it before the next is read; it ends where a slice could not be deleted. Between two
    slices is a pause about as long as the last one took: SQLite lets one write at a time, and those that wait only look
    now and then whether it is their turn.
    """
    previous: list[Any] = []
    for _ in range(max_batches):
        keys = list(queryset.values_list("pk", flat=True)[:batch_size])
        if not keys or keys == previous:
            return
        start = time.monotonic()
        yield keys
        time.sleep(min(time.monotonic() - start, MAX_PAUSE_SECONDS))
        previous = keys


def delete_in_batches(queryset: "QuerySet[Any]", max_batches: int = MAX_BATCHES_PER_RUN) -> int:
    """Delete a bounded number of the rows, each slice in a transaction of its own; the number of them.

    A row that is doomed no more when its slice's turn comes stays.
    """
    return sum(_delete_batch(queryset, keys) for keys in iter_batches(queryset, max_batches=max_batches))


def _delete_batch(queryset: "QuerySet[Any]", keys: list[Any]) -> int:
    with transaction.atomic():
        return queryset.order_by().filter(pk__in=keys).delete()[0]
