"""Results of actions: accept or reject the result of an attempt, and end the attempt or have it retried."""

from datetime import datetime
from enum import Enum
from typing import Any

from flyte_site.core.timestamps import format_rfc3339
from flyte_site.db.table_sql import Writes
from packs.models import Action, ActionState, Pack
from packs.queue.action_queue import ACTION_TABLE, transition
from packs.queue.retries import has_retries_left, is_lease_expiry_logged, retry

FATAL_EVENT = "FATAL"
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
