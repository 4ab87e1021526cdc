"""What the audit finds, newest first, through indexes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import StrIndex

from flows.models import Event, Execution
from flows.reasons import MOST_EVENTS, events_of_flow
from packs.models import Action, HostedResource, State
from packs.orphans import orphaned_among
from packs.webapi.queries import of_actions

ACTION_FIELDS = {"stepId": "step_id", "actionName": "name", "actionPackName": "pack_name"}


@dataclass(frozen=True)
class Page:
    """Which part of a list: `limit` rows from row `start` (0 is the newest)."""

    start: int
    limit: int


def executions(filters: Mapping[str, str], page: Page) -> list[Execution]:
    """Executions with their versions, those that were active last first. Unknown filters are ignored.

    `flowName` and `state` are the execution's; `stepId`, `actionName`, `actionPackName` and `actionPackLabels`
    (`env:staging,foo:bar`) must hold together for one of its actions.
    """
    found = Execution.objects.select_related("version").order_by("-latest_action_id")
    if name := filters.get("flowName"):
        found = found.filter(flow_name=name)
    if state := filters.get("state"):
        found = found.filter(state=state)
    actions = _matching_actions(filters)
    if actions is not None:
        found = found.filter(Exists(actions.filter(correlation_id=OuterRef("id"))))
    return list(found[page.start : page.start + page.limit])


def _matching_actions(filters: Mapping[str, str]) -> QuerySet[Action] | None:
    """Actions that the filters ask for; None where no filter is about actions."""
    wanted = {field: filters[name] for name, field in ACTION_FIELDS.items() if filters.get(name)}
    labels = labels_in(filters.get("actionPackLabels", ""))
    if not wanted and not labels:
        return None
    return with_labels(Action.objects.filter(**wanted), labels)


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


def events(filters: Mapping[str, str], page: Page) -> list[Event]:
    """Events that are kept, newest first, by `packName` and `event`, or those that `flow` has an outcome with."""
    if flow := filters.get("flow"):
        return _events_of_flow(flow, filters, page)
    found = Event.objects.order_by("-id")
    if pack_name := filters.get("packName"):
        found = found.filter(pack_name=pack_name)
    if name := filters.get("event"):
        found = found.filter(name=name)
    return list(found[page.start : page.start + page.limit])


def _events_of_flow(flow: str, filters: Mapping[str, str], page: Page) -> list[Event]:
    narrowed = {"pack_name": filters.get("packName", ""), "event_name": filters.get("event", "")}
    ids = events_of_flow(flow, min(page.start + page.limit, MOST_EVENTS), **narrowed)
    return list(Event.objects.filter(id__in=ids[page.start :]).order_by("-id"))
