"""What the audit reads beside the rows of a list."""

import json
from collections.abc import Mapping

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import StrIndex

from flows.models import Execution
from packs.hosted_status import find_resources_of_actions
from packs.models import Action, ActionState, HostedResource
from packs.queue.backlog import filter_orphaned


def filter_by_labels(actions: QuerySet[Action], labels: Mapping[str, str]) -> QuerySet[Action]:
    """Those of the actions that ask for packs with all of these labels."""
    for name, value in labels.items():
        pair = f"{json.dumps(name)}:{json.dumps(value)}"
        # A pair stands behind "{" or ","; inside a text both would stand between escaped quotes. Not by `contains`:
        # SQLite's LIKE does not tell capital letters from small ones.
        as_first, as_later = (StrIndex("label_key", Value(separator + pair)) for separator in "{,")
        actions = actions.alias(first=as_first, later=as_later).filter(Q(first__gt=0) | Q(later__gt=0))
    return actions


def parse_labels(text: str) -> dict[str, str]:
    """`env:staging,foo:bar` as a mapping; as in the original, what is no pair is passed over."""
    pairs = [part.split(":", 1) for part in text.split(",") if ":" in part]
    return {pair[0].strip(): pair[1].strip() for pair in pairs}


def find_actions_by_execution(executions: list[Execution]) -> dict[str, list[Action]]:
    """The actions of these executions by correlation id, oldest first. One query."""
    by_id: dict[str, list[Action]] = {execution.id: [] for execution in executions}
    for action in Action.objects.filter(correlation_id__in=list(by_id)).order_by("id"):
        by_id[action.correlation_id].append(action)
    return by_id


def find_orphan_ids(actions: Mapping[str, list[Action]]) -> set[str]:
    """The ids of those that wait though no registered pack could take them. One query, none where nothing waits."""
    queued = [action for execution_actions in actions.values() for action in execution_actions if action.waiting]
    orphaned_keys = filter_orphaned((action.pack_name, action.label_key) for action in queued)
    return {action.id for action in queued if (action.pack_name, action.label_key) in orphaned_keys}


def find_hosted_resources(actions: Mapping[str, list[Action]]) -> dict[str, HostedResource]:
    """By id, what those that are under way have at the services of hosted packs. One query, none where none is."""
    return find_resources_of_actions(
        action.id
        for execution_actions in actions.values()
        for action in execution_actions
        if action.state == ActionState.PENDING
    )


def find_execution(correlation_id: str) -> Execution | None:
    """The execution of this id, with its version."""
    return Execution.objects.select_related("version").filter(id=correlation_id).first()
