"""The queue of actions: the only place that writes them.

It knows packs and actions, not flows. Callers hold the lock of the execution that an action belongs to, except for
`take`, which is one conditional UPDATE.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from django.db import connection
from django.utils import timezone

from flyte_site.times import to_text
from packs.models import Action, Pack, State, label_key

# Read at once, so that a taker that loses races need not ask again each time.
CANDIDATES = 20
FATAL_EVENT = "FATAL"

# The labels that waiting actions of one pack name ask for: as many index look-ups as there are different ones,
# however many actions wait (a "loose index scan", which neither database does by itself).
_WAITING_LABEL_KEYS = """
    WITH RECURSIVE found(label_key) AS (
        SELECT min(label_key) FROM packs_action WHERE waiting AND pack_name = %s
        UNION ALL
        SELECT (SELECT min(label_key) FROM packs_action
                WHERE waiting AND pack_name = %s AND label_key > found.label_key)
        FROM found WHERE found.label_key IS NOT NULL
    )
    SELECT label_key FROM found WHERE label_key IS NOT NULL
"""


@dataclass(frozen=True)
class Draft:
    """An action that a step asks for, not queued yet."""

    step_id: str
    pack_name: str
    pack_labels: dict[str, str]
    name: str
    input: Any
    context: dict[str, str]
    trigger: dict[str, Any]
    triggered_by: str = ""


@dataclass(frozen=True)
class Owner:
    """What an action belongs to, as plain values."""

    correlation_id: str
    flow_name: str
    flow_uuid: str


class Finish(Enum):
    """What became of a result: it counted, was an exact repeat, or came when none was expected."""

    COUNTED = "counted"
    REPEATED = "repeated"
    REFUSED = "refused"


def enqueue(owner: Owner, drafts: Iterable[Draft], now: datetime) -> list[Action]:
    """Queue the drafts, oldest first in their order."""
    return Action.objects.bulk_create([_action(owner, draft, now) for draft in drafts])


def _action(owner: Owner, draft: Draft, now: datetime) -> Action:
    return Action(
        correlation_id=owner.correlation_id,
        flow_name=owner.flow_name,
        flow_uuid=owner.flow_uuid,
        step_id=draft.step_id,
        pack_name=draft.pack_name,
        pack_labels=draft.pack_labels,
        label_key=label_key(draft.pack_labels),
        name=draft.name,
        input=draft.input,
        context=draft.context,
        trigger=draft.trigger,
        triggered_by=draft.triggered_by,
        states=[_entry(State.NEW, now)],
    )


def take(pack: Pack, command_names: Iterable[str] = ()) -> Action | None:
    """Give the oldest waiting action that `pack` may take, of these commands if any are named, or None.

    Each action is given to one caller: the UPDATE changes it only while it still waits, and a lost race goes on to the
    next.
    """
    while ids := _oldest_waiting(pack, list(command_names)):
        for action_id in ids:
            action = Action.objects.filter(id=action_id).first()
            if action and action.waiting and _claim(action, pack):
                return action
    return None


def _oldest_waiting(pack: Pack, command_names: list[str]) -> list[str]:
    """Ids of the actions that the pack may take next, oldest first: a few, found by the index of what waits.

    One look-up for each kind of labels: asked for several kinds at once, both databases would rather walk through all
    that was ever done.
    """
    waiting = Action.objects.filter(waiting=True, pack_name=pack.name)
    if command_names:
        waiting = waiting.filter(name__in=command_names)
    found: list[str] = []
    for key in _takeable_keys(pack):
        found += waiting.filter(label_key=key).order_by("id").values_list("id", flat=True)[:CANDIDATES]
    return sorted(found)[:CANDIDATES]


def _takeable_keys(pack: Pack) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_LABEL_KEYS, [pack.name, pack.name])
        keys = [str(row[0]) for row in cursor.fetchall()]
    return [key for key in keys if pack.has_labels(json.loads(key))]


def _claim(action: Action, pack: Pack) -> bool:
    action.state, action.waiting, action.holder = State.PENDING, False, pack.identity
    action.states = [*action.states, _entry(State.PENDING, timezone.now())]
    changed = Action.objects.filter(id=action.id, waiting=True).update(
        state=action.state, waiting=False, holder=action.holder, states=action.states
    )
    return changed == 1


def finish(action: Action, pack: Pack, result: dict[str, Any], now: datetime) -> Finish:
    """Note a result on an action whose execution is locked; `result` is the event as the audit shows it."""
    if not pack.can_take(action) or action.waiting:
        return Finish.REFUSED
    if action.finished:
        return Finish.REPEATED if _same(action.result, result) else Finish.REFUSED
    action.state = State.FATAL if result["event"] == FATAL_EVENT else State.SUCCESS
    action.result, action.finished_at = result, now
    action.states = [*action.states, _entry(action.state, now)]
    action.save(update_fields=["state", "result", "finished_at", "states"])
    return Finish.COUNTED


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two results say the same; when they were made or came does not count."""
    return one["event"] == other["event"] and one.get("payload") == other.get("payload")


def _entry(state: str, now: datetime) -> dict[str, str]:
    return {"value": str(state), "time": to_text(now)}
