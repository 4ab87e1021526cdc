"""Retries of actions: whether an attempt is left, the backoff delay, and queueing an action again."""

import random
from datetime import datetime, timedelta
from typing import Any

from flyte_site.core.clock import database_clock
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.db.table_sql import Writes
from packs.models import Action, ActionState
from packs.queue.action_queue import transition
from packs.queue.long_poll import notify

MAX_BACKOFF_SECONDS = 24 * 60 * 60
NO_DELAY = timedelta(0)


def has_retries_left(action: Action) -> bool:
    """Return True if the action has another attempt after the current one fails."""
    return action.attempt <= action.retries


def retry(writes: Writes, action: Action, result: dict[str, Any], now: datetime) -> None:
    """Queue a locked action for its next attempt, after the backoff delay."""
    requeue(writes, action, result, now, backoff_delay(action))


def backoff_delay(action: Action) -> timedelta:
    """Compute the delay before the next attempt: the step's backoff, doubled with each attempt, plus or minus 25 %."""
    seconds = action.backoff * 2 ** min(action.attempt - 1, 30)
    return timedelta(seconds=min(seconds, MAX_BACKOFF_SECONDS) * random.uniform(0.75, 1.25))  # noqa: S311


def requeue(writes: Writes, action: Action, result: dict[str, Any], now: datetime, pause: timedelta) -> None:
    """Queue a locked action again after `pause`, and log the result of its last attempt."""
    if not is_lease_expiry_logged(action, action.attempt):
        action.attempt_log = [*action.attempt_log, build_attempt_entry(action, result, now)]
    action.result = action.finished_at = None
    action.ready_at = database_clock().now() + pause
    transition(writes, action, ActionState.NEW, now, "result", "ready_at", "attempt_log")
    notify(writes, [action])


def build_attempt_entry(action: Action, result: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {"attempt": action.attempt, "packId": action.claimed_by, "time": format_rfc3339(now), "result": result}


def is_lease_expiry_logged(action: Action, attempt: int) -> bool:
    return any(entry["attempt"] == attempt and entry.get("leaseEnded") for entry in action.attempt_log)
