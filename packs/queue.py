"""The queue of actions: the only place that writes them.

It knows packs and actions, not flows. Callers hold the lock of the execution that an action belongs to, except for
`take`, which is one conditional UPDATE.
"""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from flyte_site import correlation, tracing
from flyte_site.ids import new_id
from flyte_site.meters import count_actions
from flyte_site.renewal import Renewed, renew_rows
from flyte_site.rows import Rows, after_commit
from flyte_site.times import to_text
from packs.models import Action, Pack, State, label_key
from packs.oldest import oldest, passed, waits
from packs.sealed import Secrets, fault, seal
from packs.waiting import announce

log = structlog.get_logger(__name__)

ACTIONS = Rows(Action)
# Their great texts are left out where nobody looks at them: of one that is taken what it came of, of one that is
# finished what it was given.
TAKEN = Rows(Action, without=("context", "trigger", "history", "result"))
FINISHED = Rows(Action, without=("input", "trigger"))
# Of each kind of labels, so that there is another one where some are locked by other takers.
CANDIDATES = 3
FATAL_EVENT = "FATAL"
MAX_DELAY_SECONDS = 24 * 60 * 60
AT_ONCE = timedelta(0)
# Results that come too late are kept, but nobody may fill the database with them.
MAX_HISTORY = 200

# One statement on PostgreSQL: what another taker has locked is passed over, and what is found is claimed at once.
# Where nothing waits it writes nothing. Each candidate is looked up by itself: as a join PostgreSQL may read the whole
# table for it, where it plans for any value, or knows nothing of what is in the table.
_TAKE = """WITH candidate AS MATERIALIZED (SELECT id FROM ({oldest}) AS kinds ORDER BY ready_at, id),
    found AS MATERIALIZED (
        SELECT own.id AS found_id FROM candidate CROSS JOIN LATERAL (
            SELECT action.id FROM packs_action AS action
            WHERE action.id = candidate.id AND action.waiting AND action.ready_at <= %s FOR UPDATE SKIP LOCKED) AS own
        LIMIT 1)
    UPDATE packs_action SET state = %s, waiting = false, holder = %s, attempt = attempt + 1,
        states = left(states, -1) || %s, lease_ends_at = %s + coalesce(timeout, %s) * interval '1 second'
    FROM found WHERE id = found_id
    RETURNING {columns}"""


@dataclass(frozen=True)
class Draft:
    """An action that a step asks for, not queued yet. In the places of `secrets` its input and context have a mask."""

    step_id: str
    pack_name: str
    pack_labels: dict[str, str]
    name: str
    input: Any
    context: dict[str, str]
    trigger: dict[str, Any]
    secrets: Secrets | None = None
    triggered_by: str = ""
    timeout: int | None = None
    retries: int = 0
    backoff: float = 0


@dataclass(frozen=True)
class Owner:
    """What an action belongs to, as plain values."""

    correlation_id: str
    flow_name: str
    flow_uuid: str


class Finish(Enum):
    """What became of a result: it ended its action, was a FATAL that is tried again, was an exact repeat, or came when
    none was expected."""

    COUNTED = "counted"
    RETRIED = "retried"
    REPEATED = "repeated"
    REFUSED = "refused"


def enqueue(owner: Owner, drafts: Iterable[Draft], now: datetime) -> list[Action]:
    """Queue the drafts, oldest first in their order."""
    actions = [drafted(owner, draft, now) for draft in drafts]
    ACTIONS.insert(actions)
    announce(action.pack_name for action in actions)
    _count([action.pack_name for action in actions], State.NEW)
    return actions


def drafted(owner: Owner, draft: Draft, now: datetime) -> Action:
    """The action that a draft is to be, not queued and not saved. Raises `NoKeysError` where it has secrets."""
    action_id = new_id()
    return Action(
        id=action_id,
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
        secrets=seal(action_id, draft.secrets) if draft.secrets else None,
        trigger=draft.trigger,
        triggered_by=draft.triggered_by,
        timeout=draft.timeout,
        retries=draft.retries,
        backoff=draft.backoff,
        ready_at=now,
        states=[_entry(State.NEW, now)],
        request_id=correlation.current(),
        traceparent=tracing.traceparent(),
    )


def take(pack: Pack, command_names: Iterable[str] = ()) -> Action | None:
    """Give the oldest waiting action that `pack` may take, of these commands if any are named, or None.

    Each attempt is given to one caller.
    """
    names = sorted(set(command_names))
    claim = _claim_at_once if connection.features.has_select_for_update_skip_locked else _claim_in_turn
    passes_over = connection.vendor == "postgresql" and not names
    while action := claim(pack, names):
        _count([action.pack_name], State.PENDING)
        if passes_over:
            passed.note(action)
        if not _given_up(action):
            _hand_over(action)
            return action
    if passes_over:
        passed.note_none(pack, timezone.now())
    return None


def _claim_at_once(pack: Pack, command_names: list[str]) -> Action | None:
    """Find and claim in one statement."""
    now = timezone.now()
    found = oldest(pack, command_names, now, CANDIDATES)
    if found is None:
        return None
    sql, values = found
    entry = "," + json.dumps(_entry(State.PENDING, now), separators=(",", ":")) + "]"
    claim = [State.PENDING.value, pack.identity, entry, now, settings.FLYTE_ACTION_LEASE_SECONDS]
    statement = _TAKE.format(oldest=sql, columns=TAKEN.columns)
    return next(iter(TAKEN.read(statement, [*values, now, *claim])), None)


def _claim_in_turn(pack: Pack, command_names: list[str]) -> Action | None:
    """Find and claim in one transaction, where there is something: on SQLite nobody else writes meanwhile.

    What was found before one's turn to write has come would often be another's by then.
    """
    if not waits(pack, command_names, timezone.now()):
        return None
    with transaction.atomic():
        while found := oldest(pack, command_names, timezone.now(), 1):
            sql, values = found
            among = f"SELECT id FROM ({sql}) AS kinds"  # noqa: S608 - no text of others' is in it
            action = TAKEN.first(f"waiting AND id IN ({among}) ORDER BY ready_at, id LIMIT 1", *values)
            if action is None or _claim(action, pack):
                return action
    return None


def _hand_over(action: Action) -> None:
    """Go on under the id and in the trace of what caused the action; the taker's work is part of its take."""
    correlation.adopt(action.request_id)
    told = {"pack": action.holder, "command": action.name, "action": action.id, "execution": action.correlation_id}
    with tracing.span("take", action.traceparent, **told):
        action.traceparent = tracing.traceparent()


def _given_up(action: Action) -> bool:
    """Whether a claimed action's secrets can't be read: then its lease ends at once, and that ends its attempt."""
    reason = fault(action)
    if reason:
        log.error("secrets_unreadable", action=action.id, reason=reason)
        mine = Action.objects.filter(id=action.id, state=State.PENDING, attempt=action.attempt)
        mine.update(lease_ends_at=timezone.now())
    return bool(reason)


def _claim(action: Action, pack: Pack) -> bool:
    """Whether the action is the pack's now.

    That it waits is not enough: since it was read it may have been taken, ended FATAL, and be waiting for its next
    attempt, which has a number and a time of its own.
    """
    now, attempt = timezone.now(), action.attempt
    action.state, action.waiting, action.holder = State.PENDING, False, pack.identity
    action.states = [*action.states, _entry(State.PENDING, now)]
    action.attempt += 1
    action.lease_ends_at = _lease_end(action, now)
    names = ("state", "waiting", "holder", "states", "attempt", "lease_ends_at")
    return ACTIONS.update_if("waiting AND attempt = %s AND ready_at <= %s", (attempt, now), action, *names)


def lease_seconds(action: Action) -> int:
    """For how long whoever takes the action has it, if nobody extends that."""
    return int(action.timeout or settings.FLYTE_ACTION_LEASE_SECONDS)


def _lease_end(action: Action, now: datetime) -> datetime:
    return now + timedelta(seconds=lease_seconds(action))


def extend(action_id: str, pack: Pack, attempt: int) -> bool:
    """Begin the holder's lease anew; False where it is no longer this pack's, or this attempt's."""
    mine = Action.objects.filter(id=action_id, state=State.PENDING, holder=pack.identity, attempt=attempt)
    action = mine.first()
    return action is not None and mine.update(lease_ends_at=_lease_end(action, timezone.now())) == 1


def hold(actions: "QuerySet[Action]", now: datetime, seconds: float) -> int:
    """Extend the leases of actions that the server itself works on, where less than half of that time is left."""
    ending = actions.filter(state=State.PENDING, lease_ends_at__lt=now + timedelta(seconds=seconds / 2))
    return ending.update(lease_ends_at=now + timedelta(seconds=seconds))


def leases_that_ended(now: datetime, limit: int) -> list[str]:
    """Ids of taken actions whose lease has ended, the longest ago first."""
    ended = Action.objects.filter(lease_ends_at__lte=now).order_by("lease_ends_at")
    return list(ended.values_list("id", flat=True)[:limit])


def find(action_id: str) -> Action | None:
    """The action, as it is at the moment."""
    return FINISHED.first("id = %s", action_id)


def of_execution(correlation_id: str) -> list[Action]:
    """All actions of an execution; who changes them has its lock. A take may give out one that is NEW meanwhile."""
    return FINISHED.read(*of_execution_query(correlation_id))


def of_execution_query(correlation_id: str) -> tuple[str, Sequence[Any]]:
    """What `of_execution` asks, as `FINISHED` reads it."""
    return FINISHED.query("correlation_id = %s ORDER BY id", correlation_id)


def locked(action_id: str) -> Action | None:
    """The action, its row locked until the transaction ends; the execution is locked already."""
    return ACTIONS.first("id = %s", action_id, lock=True)


def lease_has_ended(action: Action, now: datetime) -> bool:
    """Whether a locked action is still with someone whose time is up."""
    return action.lease_ends_at is not None and action.lease_ends_at <= now


def finish(action: Action, pack: Pack, attempt: int, result: dict[str, Any], now: datetime) -> Finish:
    """Note a pack's result of an attempt on an action that is locked; `result` is the event as the audit shows it."""
    if not pack.can_take(action):
        return Finish.REFUSED
    if _is_repeat(action, attempt, result):
        return Finish.REPEATED
    if action.state != State.PENDING or attempt != action.attempt:
        _note_late(action, pack, attempt, result, now)
        return Finish.REFUSED
    return _end_attempt(action, result, now)


def end_lease(action: Action, result: dict[str, Any], now: datetime) -> Finish:
    """End the attempt of a locked action whose lease has ended; `result` stands for the one that did not come."""
    action.history = [*action.history, {**_attempt_entry(action, result, now), "leaseEnded": True}]
    return _end_attempt(action, result, now)


def _end_attempt(action: Action, result: dict[str, Any], now: datetime) -> Finish:
    """End the current attempt with this result: a FATAL one is tried again while the step's retries allow it."""
    fatal = result["event"] == FATAL_EVENT
    if fatal and action.attempt <= action.retries:
        requeue(action, result, now, delay(action))
        return Finish.RETRIED
    action.result, action.finished_at = result, now
    _enter(action, State.FATAL if fatal else State.SUCCESS, now, "result", *(["history"] if action.history else []))
    return Finish.COUNTED


def delay(action: Action) -> timedelta:
    """How long the next attempt waits: the step's backoff, doubled with each attempt, give or take a quarter."""
    seconds = action.backoff * 2 ** min(action.attempt - 1, 30)
    return timedelta(seconds=min(seconds, MAX_DELAY_SECONDS) * random.uniform(0.75, 1.25))  # noqa: S311


def requeue(action: Action, result: dict[str, Any], now: datetime, wait: timedelta) -> None:
    """Let a locked action be taken again; what its last attempt ended with goes into its history."""
    if not _lease_ended(action, action.attempt):
        action.history = [*action.history, _attempt_entry(action, result, now)]
    action.result = action.finished_at = None
    action.ready_at = now + wait
    _enter(action, State.NEW, now, "result", "ready_at", "history")
    announce([action.pack_name])


def adopt(correlation_id: str, actions: Iterable[Action]) -> None:
    """Keep the actions of an execution that came from another server, in the states that they were in there.

    What was here of the execution is replaced. Within a transaction, the execution locked.
    """
    Action.objects.filter(correlation_id=correlation_id).delete()
    kept = Action.objects.bulk_create(actions)
    announce(action.pack_name for action in kept if action.waiting)


def cancel(action: Action, now: datetime) -> None:
    """Take a locked action out of the queue, or from whoever has it; finished ones stay as they are."""
    if action.state in (State.NEW, State.PENDING):
        action.finished_at = now
        _enter(action, State.CANCELLED, now)


def renew_secrets(*, dry_run: bool) -> Iterator[Renewed]:
    """Encrypt actions' secrets with the first key, where they are not. Raises `NoKeysError`."""
    return renew_rows(Action.objects.filter(secrets__isnull=False), "secrets", dry_run=dry_run)


def _enter(action: Action, state: State, now: datetime, *changed: str) -> None:
    """Bring an action into a state, and write that with what else of it has `changed`."""
    action.state, action.waiting, action.lease_ends_at = state, state == State.NEW, None
    action.states = [*action.states, _entry(state, now)]
    ACTIONS.update(action, "state", "waiting", "lease_ends_at", "states", "finished_at", *changed)
    _count([action.pack_name], state)


def _count(pack_names: list[str], state: State) -> None:
    """Count actions that came into a state, once that is committed."""
    after_commit(partial(count_actions, pack_names, str(state)))


def _is_repeat(action: Action, attempt: int, result: dict[str, Any]) -> bool:
    if action.finished and attempt == action.attempt:
        return _same(action.result, result)
    ended = (entry for entry in action.history if entry["attempt"] == attempt and not entry.get("late"))
    return any(_same(entry["result"], result) for entry in ended)


def _note_late(action: Action, pack: Pack, attempt: int, result: dict[str, Any], now: datetime) -> None:
    """Keep what came too late: someone will ask what became of the work.

    What contradicts the result that the attempt already gave is not late, but wrong, and not kept.
    """
    answered = action.finished and attempt == action.attempt and not _lease_ended(action, attempt)
    if answered or not 0 < attempt <= action.attempt or len(action.history) >= MAX_HISTORY:
        return
    entry = {"attempt": attempt, "packId": pack.identity, "time": to_text(now), "late": True, "result": result}
    action.history = [*action.history, entry]
    action.save(update_fields=["history"])


def _lease_ended(action: Action, attempt: int) -> bool:
    return any(entry["attempt"] == attempt and entry.get("leaseEnded") for entry in action.history)


def _attempt_entry(action: Action, result: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {"attempt": action.attempt, "packId": action.holder, "time": to_text(now), "result": result}


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two results say the same; when they were made or came does not count."""
    return one["event"] == other["event"] and one.get("payload") == other.get("payload")


def _entry(state: str, now: datetime) -> dict[str, str]:
    return {"value": str(state), "time": to_text(now)}
