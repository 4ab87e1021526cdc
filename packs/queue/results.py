"""Results of actions: accept or reject the result of an attempt, retry a FATAL one with backoff, log the attempts."""

import random
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from flyte_site.core.clock import database_clock
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.db.table_sql import Writes
from packs.models import Action, ActionState, Pack
from packs.queue.action_queue import ACTION_TABLE, transition
from packs.queue.long_poll import notify

FATAL_EVENT = "FATAL"
MAX_BACKOFF_SECONDS = 24 * 60 * 60
NO_DELAY = timedelta(0)
# Bounds the late results, which are kept in the log of attempts too.
MAX_ATTEMPT_LOG_ENTRIES = 200


class ResultStatus(Enum):
    """Effect of a result.

    It finished its action; it was a FATAL, and the action is retried; it repeats an earlier result exactly; or none was
    expected.
    """

    ACCEPTED = "counted"
    RETRIED = "retried"
    DUPLICATE = "repeated"
    REJECTED = "refused"


def record_result(
    writes: Writes, action: Action, pack: Pack, attempt: int, result: dict[str, Any], now: datetime
) -> ResultStatus:
    """Record a pack's result of an attempt at a locked action; `result` is the event as `/v1/audit` shows it."""
    if not pack.can_take(action):
        return ResultStatus.REJECTED
    if _is_duplicate_result(action, attempt, result):
        return ResultStatus.DUPLICATE
    if action.state != ActionState.PENDING or attempt != action.attempt:
        log_late_result(writes, action, pack, attempt, result, now)
        return ResultStatus.REJECTED
    return finish_attempt(writes, action, result, now)


def finish_attempt(writes: Writes, action: Action, result: dict[str, Any], now: datetime) -> ResultStatus:
    """End the current attempt with this result. A FATAL one is retried while retries are left."""
    is_fatal = result["event"] == FATAL_EVENT
    if is_fatal and has_retries_left(action):
        retry(writes, action, result, now)
        return ResultStatus.RETRIED
    action.result, action.finished_at = result, now
    state = ActionState.FATAL if is_fatal else ActionState.SUCCESS
    transition(writes, action, state, now, "result", *(["attempt_log"] if action.attempt_log else []))
    return ResultStatus.ACCEPTED


def _is_duplicate_result(action: Action, attempt: int, result: dict[str, Any]) -> bool:
    if action.is_finished and attempt == action.attempt:
        return _is_same_result(action.result, result)
    attempt_entries = (entry for entry in action.attempt_log if entry["attempt"] == attempt and not entry.get("late"))
    return any(_is_same_result(entry["result"], result) for entry in attempt_entries)


def _is_same_result(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Return True if two results are equal apart from their times."""
    return first["event"] == second["event"] and first.get("payload") == second.get("payload")


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


def log_late_result(
    writes: Writes, action: Action, pack: Pack, attempt: int, result: dict[str, Any], now: datetime
) -> None:
    """Log a late result, so that the work of the pack can be traced.

    A result that contradicts the attempt's own earlier result is wrong rather than late, and is not logged.
    """
    has_result = action.is_finished and attempt == action.attempt and not is_lease_expiry_logged(action, attempt)
    if has_result or not 0 < attempt <= action.attempt or len(action.attempt_log) >= MAX_ATTEMPT_LOG_ENTRIES:
        return
    entry = {"attempt": attempt, "packId": pack.identity, "time": format_rfc3339(now), "late": True, "result": result}
    action.attempt_log = [*action.attempt_log, entry]
    ACTION_TABLE.update(writes, action, "attempt_log")
