"""The log of an action's attempts: results of earlier attempts, expired leases, late results."""

from datetime import datetime
from typing import Any

from flyte_site.core.timestamps import format_rfc3339
from flyte_site.db.table_sql import Writes
from packs.models import Action, Pack
from packs.queue.transitions import ACTION_TABLE

# Bounds the late results, which are kept in the log too.
MAX_ATTEMPT_LOG_ENTRIES = 200


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
