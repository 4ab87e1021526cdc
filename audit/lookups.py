"""Queries that the audit's pages and its API share."""

import json
from collections.abc import Mapping

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import StrIndex

from flows.models import Execution
from packs.hosted_status import find_resources_of_actions
from packs.models import Action, ActionState, HostedResource
from packs.queue.backlog import filter_orphaned


def filter_by_labels(actions: QuerySet[Action], labels: Mapping[str, str]) -> QuerySet[Action]:
    """Filter actions by the pack labels that they ask for; all of `labels` must match."""
    for name, value in labels.items():
        pair = f"{json.dumps(name)}:{json.dumps(value)}"
        # A pair follows "{" or ","; within a text, both would be between escaped quotes. `contains` would not do:
        # SQLite's LIKE is case-insensitive.
        as_first, as_later = (StrIndex("labels_key", Value(separator + pair)) for separator in "{,")
        actions = actions.alias(first=as_first, later=as_later).filter(Q(first__gt=0) | Q(later__gt=0))
    return actions


def parse_labels(text: str) -> dict[str, str]:
    """Parse `env:staging,foo:bar` into a mapping. As in the original, parts without a colon are ignored."""
    pairs = [part.split(":", 1) for part in text.split(",") if ":" in part]
    return {pair[0].strip(): pair[1].strip() for pair in pairs}


def find_orphan_ids(actions: Mapping[str, list[Action]]) -> set[str]:
    """Find the ids of queued actions that no registered pack could take. One query; none if nothing is queued."""
    queued = [action for execution_actions in actions.values() for action in execution_actions if action.is_queued]
    orphaned_keys = filter_orphaned((action.pack_name, action.labels_key) for action in queued)
    return {action.id for action in queued if (action.pack_name, action.labels_key) in orphaned_keys}


def find_hosted_resources(actions: Mapping[str, list[Action]]) -> dict[str, HostedResource]:
    """Find the resources of hosted packs for running actions, by action id. One query; none if no action is running."""
    return find_resources_of_actions(
        action.id
        for execution_actions in actions.values()
        for action in execution_actions
        if action.state == ActionState.PENDING
    )


def find_execution(correlation_id: str) -> Execution | None:
    """Return the execution with its flow version, or None."""
    return Execution.objects.select_related("version").filter(id=correlation_id).first()
