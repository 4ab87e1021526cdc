"""Keyset pages: a page begins after a key, not after a number of rows, so that each costs the same."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Page(Generic[M]):
    """Rows in the order of display, and the keys at which the adjacent pages begin; None for pages that don't exist."""

    rows: list[M]
    previous_key: Any = None
    next_key: Any = None


def fetch_page(
    queryset: "QuerySet[M, Any]", key: str, size: int, *, after: Any = "", before: Any = "", descending: bool = False
) -> Page[M]:
    """Fetch the page of rows after or before this value of the unique field `key`, in the order of display.

    Start with the first row if both are empty. One query.
    """
    is_ascending_read = descending == bool(before)
    if start := before or after:
        queryset = queryset.filter(**{f"{key}__{'gt' if is_ascending_read else 'lt'}": start})
    rows = list(queryset.order_by(key if is_ascending_read else f"-{key}")[: size + 1])
    has_more, rows = len(rows) > size, rows[:size]
    if not rows:
        return Page([])
    if before:
        rows.reverse()
    has_previous, has_next = (has_more, True) if before else (bool(after), has_more)
    first_key, last_key = getattr(rows[0], key), getattr(rows[-1], key)
    return Page(rows, first_key if has_previous else None, last_key if has_next else None)
