"""Index ranges for filters that are not the first column of an index: labels, and a part of an event's name. There are
few ranges, however many rows there are.
"""

import json
from collections.abc import Mapping
from typing import Any

from django.db.models import BooleanField, Func, QuerySet

from audit.search.index_ranges import MAX_RANGES, IndexRange
from audit.search.keyset_page import RangeSet
from flows.models import Event
from flyte_site.db.loose_index_scan import LooseIndexScan
from packs.models import Action

_EVENT_INDEX = ("pack_name", "name")
# Bound on the distinct values of a column.
MAX_VALUES = 1_000

_LABELS_KEYS = LooseIndexScan("packs_action", ("labels_key",), ("id",), where="NOT (labels_key = '{}')")
_EVENT_NAMES = LooseIndexScan("flows_event", ("name",), ("id",), where="pack_name = %s")
_EVENT_PACKS = LooseIndexScan("flows_event", ("pack_name",), ("name", "id"))


class _HasLabels(Func):
    """The condition of the labels index, word for word and without parameters: otherwise no database would use the
    index.
    """

    template = "NOT (%(expressions)s = '{}')"
    output_field = BooleanField()


def labels_range_set(labels: Mapping[str, str]) -> RangeSet | None:
    """Find the ranges of actions that have all of these labels. One query.

    Return None if there are too many distinct label sets to check, or too many of them match.
    """
    labels_keys = _find_values(_LABELS_KEYS) if labels else None
    if labels_keys is None:
        return None
    ranges: list[IndexRange] = [
        (labels_key,) for labels_key in labels_keys if labels.items() <= json.loads(labels_key).items()
    ]
    return _build_range_set(ranges, ("labels_key",), Action.objects.filter(_HasLabels("labels_key")))


def event_range_set(pack: str, name: str) -> RangeSet | None:
    """Find the ranges of a pack's events, or of events with this name. One query.

    Return None if there are too many, or if both or neither are set: for those there is an index.
    """
    if bool(pack) == bool(name):
        return None
    if pack:
        names = _find_values(_EVENT_NAMES, pack)
        ranges: list[IndexRange] | None = None if names is None else [(pack, value) for value in names]
    else:
        packs = _find_values(_EVENT_PACKS)
        ranges = None if packs is None else [(value, name) for value in packs]
    return None if ranges is None else _build_range_set(ranges, _EVENT_INDEX, Event.objects.all())


def _find_values(scan: LooseIndexScan, *where_values: str) -> list[str] | None:
    """Find the distinct values; None if there are more than MAX_VALUES."""
    rows = scan.fetch(*where_values, limit=MAX_VALUES + 1)
    return [value for (value,) in rows] if len(rows) <= MAX_VALUES else None


def _build_range_set(ranges: list[IndexRange], fields: tuple[str, ...], queryset: "QuerySet[Any]") -> RangeSet | None:
    return RangeSet(queryset, fields, ranges) if len(ranges) <= MAX_RANGES else None
