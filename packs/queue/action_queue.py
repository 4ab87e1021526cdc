"""The queue of actions: enqueue, find, lock, import and cancel them. Only the modules of this folder write actions.

Every change of an action's state is written and counted by `transition`, except the claim in `take`.

They know packs and actions, not flows. Callers hold the lock of the execution that an action belongs to, except in
`take`, which is one conditional UPDATE.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from flyte_site.core.ids import new_id
from flyte_site.core.observability import request_ids, tracing
from flyte_site.core.observability.metrics import count_actions
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.db.table_sql import DirectWrites, Query, TableSQL, Writes
from packs.models import Action, ActionState, build_labels_key
from packs.queue.action_secrets import ActionSecrets, encrypt_secrets
from packs.queue.long_poll import notify

log = structlog.get_logger(__name__)

ACTION_TABLE = TableSQL(Action)
# Without the large columns that no caller reads.
RESULT_COLUMNS = TableSQL(Action, excluded=("input", "trigger"))
ACTION_BY_ID = "id = %s"
ACTIONS_OF_EXECUTION = "correlation_id = %s ORDER BY id"


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


def enqueue(writes: Writes, execution: ExecutionRef, specs: Iterable[ActionSpec], now: datetime) -> list[Action]:
    """Queue an action for each spec, in their order."""
    actions = [build_action(execution, spec, now) for spec in specs]
    count_transitions(writes, [action.pack_name for action in actions], ActionState.NEW)
    ACTION_TABLE.insert(writes, actions)
    notify(writes, actions)
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
    return RESULT_COLUMNS.select_first(ACTION_BY_ID, action_id)


def action_query(action_id: str) -> Query:
    """Build the query of `find_action`, for a read together with others."""
    return RESULT_COLUMNS.query(ACTION_BY_ID, action_id)


def list_execution_actions(correlation_id: str) -> list[Action]:
    """List all actions of an execution in the order of their ids.

    The lock of the execution keeps them from changing, except that a take can claim a queued one.
    """
    return RESULT_COLUMNS.select(ACTIONS_OF_EXECUTION, correlation_id)


def lock_action(action_id: str, *, skip_locked: bool = False) -> Action | None:
    """Lock the action's row until the transaction ends. The caller has locked the execution.

    With `skip_locked`, return None if another transaction has locked it.
    """
    return ACTION_TABLE.select_first("id = %s", action_id, lock=True, skip_locked=skip_locked)


def import_actions(correlation_id: str, actions: Iterable[Action]) -> None:
    """Replace the actions of an execution with those that another server had, in the states that they had there.

    The caller is in a transaction and has locked the execution.
    """
    Action.objects.filter(correlation_id=correlation_id).delete()
    created = Action.objects.bulk_create(actions)
    notify(DirectWrites(), (action for action in created if action.is_queued))


def cancel_action(writes: Writes, action: Action, now: datetime) -> None:
    """Cancel a locked action that is queued or running; leave a finished one as it is."""
    if action.state in (ActionState.NEW, ActionState.PENDING):
        action.finished_at = now
        transition(writes, action, ActionState.CANCELLED, now)


def transition(writes: Writes, action: Action, state: ActionState, now: datetime, *changed_fields: str) -> None:
    """Change the action's state, and write it together with `changed_fields`."""
    action.state, action.is_queued, action.lease_ends_at = state, state == ActionState.NEW, None
    action.state_log = [*action.state_log, build_state_entry(state, now)]
    state_fields = ("state", "is_queued", "lease_ends_at", "state_log", "finished_at")
    ACTION_TABLE.update(writes, action, *state_fields, *changed_fields)
    count_transitions(writes, [action.pack_name], state)


def count_transitions(writes: Writes, pack_names: list[str], state: ActionState) -> None:
    """Count actions that entered a state, after the commit."""
    writes.on_commit(partial(count_actions, pack_names, str(state)))


def build_state_entry(state: str, now: datetime) -> dict[str, str]:
    return {"value": str(state), "time": format_rfc3339(now)}
