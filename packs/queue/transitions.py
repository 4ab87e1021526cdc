"""Transitions of actions: write, log and count every change of state, except the claim in `take`."""

from datetime import datetime
from functools import partial

from flyte_site.core.metrics import count_actions
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.db.table_sql import TableSQL, Writes
from packs.models import Action, ActionState

ACTION_TABLE = TableSQL(Action)


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
