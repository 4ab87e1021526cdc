"""Deletion of many rows in batches, so that other writers are not blocked for long."""

import time
from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

BATCH_SIZE = 500
MAX_BATCHES_PER_RUN = 200
MAX_PAUSE_SECONDS = 0.1


def iter_batches(
    queryset: "QuerySet[Any]", batch_size: int = BATCH_SIZE, max_batches: int = MAX_BATCHES_PER_RUN
) -> Iterator[list[Any]]:
    """Iterate over the primary keys of the rows in their order, `batch_size` at a time, for at most `max_batches`.

    Each batch is read after the caller has deleted the one before; the iteration ends if that failed. It pauses between
    batches for about as long as the last one took: SQLite allows one writer at a time, and others retry at intervals.
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
    """Delete a bounded number of rows, each batch in a separate transaction; return their number.

    A row that no longer matches the query when its batch is deleted is kept, as is a row that another transaction has
    locked.
    """
    return sum(_delete_batch(queryset, keys) for keys in iter_batches(queryset, max_batches=max_batches))


def _delete_batch(queryset: "QuerySet[Any]", keys: list[Any]) -> int:
    matching = queryset.order_by().filter(pk__in=keys)
    with transaction.atomic():
        if connection.features.has_select_for_update_skip_locked:
            locked = matching.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)
            matching = queryset.model._base_manager.filter(pk__in=list(locked))
        return matching.delete()[0]
