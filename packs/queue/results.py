"""Results of actions: accept, retry, repeat or reject the result of an attempt."""

from datetime import datetime
from enum import Enum
from typing import Any

from flyte_site.db.table_sql import Writes
from packs.models import Action, ActionState, Pack
from packs.queue.attempt_log import log_late_result
from packs.queue.retries import has_retries_left, retry
from packs.queue.transitions import transition

FATAL_EVENT = "FATAL"


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
