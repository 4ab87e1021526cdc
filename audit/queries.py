"""What the audit reads beside the rows of a list."""

import json
from collections.abc import Mapping

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import StrIndex

from flows.models import Execution
from packs.models import Action, HostedResource, State
from packs.orphans import orphaned_among
from packs.webapi.queries import of_actions


def with_labels(actions: QuerySet[Action], labels: Mapping[str, str]) -> QuerySet[Action]:
    """Those of the actions that ask for packs with all of these labels."""
    for name, value in labels.items():
        pair = f"{json.dumps(name)}:{json.dumps(value)}"
        # A pair stands behind "{" or ","; inside a text both would stand between escaped quotes. Not by `contains`:
        # SQLite's LIKE does not tell capital letters from small ones.
        first, later = (StrIndex("label_key", Value(before + pair)) for before in "{,")
        actions = actions.alias(first=first, later=later).filter(Q(first__gt=0) | Q(later__gt=0))
    return actions


def labels_in(text: str) -> dict[str, str]:
    """`env:staging,foo:bar` as a mapping; as in the original, what is no pair is passed over."""
    pairs = [part.split(":", 1) for part in text.split(",") if ":" in part]
    return {pair[0].strip(): pair[1].strip() for pair in pairs}


def actions_of(found: list[Execution]) -> dict[str, list[Action]]:
    """The actions of these executions by correlation id, oldest first. One query."""
    by_id: dict[str, list[Action]] = {execution.id: [] for execution in found}
    for action in Action.objects.filter(correlation_id__in=list(by_id)).order_by("id"):
        by_id[action.correlation_id].append(action)
    return by_id


def orphans(actions: Mapping[str, list[Action]]) -> set[str]:
    """The ids of those that wait though no registered pack could take them. One query, none where nothing waits."""
    waiting = [action for some in actions.values() for action in some if action.waiting]
    lost = orphaned_among((action.pack_name, action.label_key) for action in waiting)
    return {action.id for action in waiting if (action.pack_name, action.label_key) in lost}


def hosted(actions: Mapping[str, list[Action]]) -> dict[str, HostedResource]:
    """By id, what those that are under way have at the services of hosted packs. One query, none where none is."""
    return of_actions(action.id for some in actions.values() for action in some if action.state == State.PENDING)


def execution(correlation_id: str) -> Execution | None:
    """The execution of this id, with its version."""
    return Execution.objects.select_related("version").filter(id=correlation_id).first()
