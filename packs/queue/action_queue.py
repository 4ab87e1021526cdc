"""The queue of actions: only this module, `take` and `leases` write them.

They know packs and actions, not flows. Callers hold the lock of the execution that an action belongs to, except in
`take`, which is one conditional UPDATE.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any

import structlog

from flyte_site.core import request_ids, tracing
from flyte_site.core.ids import new_id
from flyte_site.core.metrics import count_actions
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.db.table_sql import TableSQL
from flyte_site.db.writes import DirectWrites, Writes
from packs.models import Action, ActionState, Pack, build_labels_key
from packs.queue.action_secrets import ActionSecrets, encrypt_secrets
from packs.queue.long_poll import notify

log = structlog.get_logger(__name__)

ACTION_TABLE = TableSQL(Action)
# Without the large columns that no caller reads.
RESULT_COLUMNS = TableSQL(Action, excluded=("input", "trigger"))
FATAL_EVENT = "FATAL"
MAX_BACKOFF_SECONDS = 24 * 60 * 60
NO_DELAY = timedelta(0)
# Bounds the late results, which are kept in the log too.
MAX_ATTEMPT_LOG_ENTRIES = 200


@dataclass(frozen=True)
class ActionSpec:
    """An action that a step asks for, not queued yet. Its input and context have a mask in place of each secret."""

    step_id: str
    pack_name: str
    pack_labels: dict[str, str]
    name: str
    input: Any
    context: dict[str, str]
    trigger: dict[str, Any]
    secrets: ActionSecrets | None = None
    triggered_by: str = ""
    timeout: int | None = None
    retries: int = 0
    backoff: float = 0


@dataclass(frozen=True)
class ExecutionRef:
    """The execution and flow version of an action, as plain values."""

    correlation_id: str
    flow_name: str
    flow_uuid: str


class ResultStatus(Enum):
    """Effect of a result.

    It finished its action; it was a FATAL, and the action is retried; it repeats an earlier result exactly; or none was
    expected.
    """

    ACCEPTED = "counted"
    RETRIED = "retried"
    DUPLICATE = "repeated"
    REJECTED = "refused"


def enqueue(writes: Writes, execution: ExecutionRef, specs: Iterable[ActionSpec], now: datetime) -> list[Action]:
    """Queue an action for each spec, in their order."""
    actions = [build_action(execution, spec, now) for spec in specs]
    ACTION_TABLE.insert(writes, actions)
    pack_names = [action.pack_name for action in actions]
    notify(writes, pack_names)
    count_transitions(writes, pack_names, ActionState.NEW)
    return actions


def build_action(execution: ExecutionRef, spec: ActionSpec, now: datetime) -> Action:
    """Build the action of a spec without saving it. Raise `NoKeysError` if it has secrets and there are no keys."""
    action_id = new_id()
    return Action(
        id=action_id,
        correlation_id=execution.correlation_id,
        flow_name=execution.flow_name,
        flow_uuid=execution.flow_uuid,
        step_id=spec.step_id,
        pack_name=spec.pack_name,
        pack_labels=spec.pack_labels,
        labels_key=build_labels_key(spec.pack_labels),
        name=spec.name,
        input=spec.input,
        context=spec.context,
        secrets=encrypt_secrets(action_id, spec.secrets) if spec.secrets else None,
        trigger=spec.trigger,
        triggered_by=spec.triggered_by,
        timeout=spec.timeout,
        retries=spec.retries,
        backoff=spec.backoff,
        ready_at=now,
        state_log=[build_state_entry(ActionState.NEW, now)],
        request_id=request_ids.current(),
        traceparent=tracing.get_traceparent(),
    )


def find_action(action_id: str) -> Action | None:
    """Read an action without locking it; None if it does not exist."""
    return RESULT_COLUMNS.select_first("id = %s", action_id)


def list_execution_actions(correlation_id: str) -> list[Action]:
    """List all actions of an execution in the order of their ids.

    The lock of the execution keeps them from changing, except that a take can claim a queued one.
    """
    return RESULT_COLUMNS.fetch(*execution_actions_query(correlation_id))


def execution_actions_query(correlation_id: str) -> tuple[str, Sequence[Any]]:
    """Build the query of `list_execution_actions` and its values, for the columns of `RESULT_COLUMNS`."""
    return RESULT_COLUMNS.build_select("correlation_id = %s ORDER BY id", correlation_id)


def lock_action(action_id: str) -> Action | None:
    """Lock the action's row until the transaction ends. The caller has locked the execution."""
    return ACTION_TABLE.select_first("id = %s", action_id, lock=True)


def record_result(
    writes: Writes, action: Action, pack: Pack, attempt: int, result: dict[str, Any], now: datetime
) -> ResultStatus:
    """Record a pack's result of an attempt at a locked action; `result` is the event as `/v1/audit` shows it."""
    if not pack.can_take(action):
        return ResultStatus.REJECTED
    if _is_duplicate_result(action, attempt, result):
        return ResultStatus.DUPLICATE
    if action.state != ActionState.PENDING or attempt != action.attempt:
        _record_late_result(writes, action, pack, attempt, result, now)
        return ResultStatus.REJECTED
    return _finish_attempt(writes, action, result, now)


def expire_lease(writes: Writes, action: Action, result: dict[str, Any], now: datetime) -> ResultStatus:
    """End the attempt of a locked action whose lease has expired; `result` replaces the missing one."""
    action.attempt_log = [*action.attempt_log, {**_build_attempt_entry(action, result, now), "leaseEnded": True}]
    return _finish_attempt(writes, action, result, now)


def _finish_attempt(writes: Writes, action: Action, result: dict[str, Any], now: datetime) -> ResultStatus:
    """End the current attempt with this result. A FATAL one requeues the action while retries are left."""
    is_fatal = result["event"] == FATAL_EVENT
    if is_fatal and action.attempt <= action.retries:
        requeue(writes, action, result, now, backoff_delay(action))
        return ResultStatus.RETRIED
    action.result, action.finished_at = result, now
    state = ActionState.FATAL if is_fatal else ActionState.SUCCESS
    _transition(writes, action, state, now, "result", *(["attempt_log"] if action.attempt_log else []))
    return ResultStatus.ACCEPTED


def backoff_delay(action: Action) -> timedelta:
    """Compute the delay before the next attempt: the step's backoff, doubled with each attempt, plus or minus 25 %."""
    seconds = action.backoff * 2 ** min(action.attempt - 1, 30)
    return timedelta(seconds=min(seconds, MAX_BACKOFF_SECONDS) * random.uniform(0.75, 1.25))  # noqa: S311


def requeue(writes: Writes, action: Action, result: dict[str, Any], now: datetime, pause: timedelta) -> None:
    """Queue a locked action again after `pause`, and log the result of its last attempt."""
    if not _has_lease_expired(action, action.attempt):
        action.attempt_log = [*action.attempt_log, _build_attempt_entry(action, result, now)]
    action.result = action.finished_at = None
    action.ready_at = now + pause
    _transition(writes, action, ActionState.NEW, now, "result", "ready_at", "attempt_log")
    notify(writes, [action.pack_name])


def import_actions(correlation_id: str, actions: Iterable[Action]) -> None:
    """Replace the actions of an execution with those that another server had, in the states that they had there.

    The caller is in a transaction and has locked the execution.
    """
    Action.objects.filter(correlation_id=correlation_id).delete()
    created = Action.objects.bulk_create(actions)
    notify(DirectWrites(), (action.pack_name for action in created if action.is_queued))


def cancel_action(writes: Writes, action: Action, now: datetime) -> None:
    """Cancel a locked action that is queued or running; leave a finished one as it is."""
    if action.state in (ActionState.NEW, ActionState.PENDING):
        action.finished_at = now
        _transition(writes, action, ActionState.CANCELLED, now)


def _transition(writes: Writes, action: Action, state: ActionState, now: datetime, *changed_fields: str) -> None:
    """Change the action's state, and write it together with `changed_fields`."""
    action.state, action.is_queued, action.lease_ends_at = state, state == ActionState.NEW, None
    action.state_log = [*action.state_log, build_state_entry(state, now)]
    state_fields = ("state", "is_queued", "lease_ends_at", "state_log", "finished_at")
    ACTION_TABLE.update(writes, action, *state_fields, *changed_fields)
    count_transitions(writes, [action.pack_name], state)


def count_transitions(writes: Writes, pack_names: list[str], state: ActionState) -> None:
    """Count actions that entered a state, after the commit."""
    writes.on_commit(partial(count_actions, pack_names, str(state)))


def _is_duplicate_result(action: Action, attempt: int, result: dict[str, Any]) -> bool:
    if action.is_finished and attempt == action.attempt:
        return _is_same_result(action.result, result)
    attempt_entries = (entry for entry in action.attempt_log if entry["attempt"] == attempt and not entry.get("late"))
    return any(_is_same_result(entry["result"], result) for entry in attempt_entries)


def _record_late_result(
    writes: Writes, action: Action, pack: Pack, attempt: int, result: dict[str, Any], now: datetime
) -> None:
    """Log a late result, so that the work of the pack can be traced.

    A result that contradicts the attempt's own earlier result is wrong rather than late, and is not logged.
    """
    has_result = action.is_finished and attempt == action.attempt and not _has_lease_expired(action, attempt)
    if has_result or not 0 < attempt <= action.attempt or len(action.attempt_log) >= MAX_ATTEMPT_LOG_ENTRIES:
        return
    entry = {"attempt": attempt, "packId": pack.identity, "time": format_rfc3339(now), "late": True, "result": result}
    action.attempt_log = [*action.attempt_log, entry]
    ACTION_TABLE.update(writes, action, "attempt_log")


def _has_lease_expired(action: Action, attempt: int) -> bool:
    return any(entry["attempt"] == attempt and entry.get("leaseEnded") for entry in action.attempt_log)


def _build_attempt_entry(action: Action, result: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {"attempt": action.attempt, "packId": action.claimed_by, "time": format_rfc3339(now), "result": result}


def _is_same_result(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Return True if two results are equal apart from their times."""
    return first["event"] == second["event"] and first.get("payload") == second.get("payload")


def build_state_entry(state: str, now: datetime) -> dict[str, str]:
    return {"value": str(state), "time": format_rfc3339(now)}
