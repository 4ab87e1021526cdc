"""In which ranges of an index there is what a filter asks for that no index begins with: labels, a part of an event's
name. There are few, however many rows there are."""

import json
from collections.abc import Mapping
from typing import Any

from django.db.models import BooleanField, Func, QuerySet

from audit.paging import Among
from audit.ranges import MOST_RANGES, Range, values
from flows.models import Event
from packs.models import Action

_EVENT_INDEX = ("pack_name", "name")
_LABELLED = "NOT (label_key = '{}')"


class _Labelled(Func):
    """The condition of the index of labels, word for word: no parameter, for which a database would not see that."""

    template = "NOT (%(expressions)s = '{}')"
    output_field = BooleanField()


def of_labels(labels: Mapping[str, str]) -> Among | None:
    """Where actions with all of these labels are. None where there are too many different sets of labels to look at
    each, or too many that these are in. One query."""
    keys = values("packs_action", "label_key", _LABELLED) if labels else None
    if keys is None:
        return None
    found: list[Range] = [(key,) for key in keys if labels.items() <= json.loads(key).items()]
    return _among(found, ("label_key",), Action.objects.filter(_Labelled("label_key")))


def of_events(pack: str, name: str) -> Among | None:
    """Where the events of a pack, or those of a name, are. None where that is in too many places, or for both or none
    of them, for which there is an index. One query."""
    if bool(pack) == bool(name):
        return None
    if pack:
        names = values("flows_event", "name", "pack_name = %s", [pack])
        found: list[Range] | None = None if names is None else [(pack, one) for one in names]
    else:
        packs = values("flows_event", "pack_name")
        found = None if packs is None else [(one, name) for one in packs]
    return None if found is None else _among(found, _EVENT_INDEX, Event.objects.all())


def _among(ranges: list[Range], fields: tuple[str, ...], rows: "QuerySet[Any]") -> Among | None:
    return Among(rows, fields, ranges) if len(ranges) <= MOST_RANGES else None
