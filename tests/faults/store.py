"""Reads of the database after the soak, by plain SQL instead of the code under test."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import psycopg

from tests.faults.story import StoredAction, StoredExecution

OPEN = "SELECT count(*) FROM packs_action WHERE state IN ('NEW', 'PENDING')"
RUNNING = "SELECT count(*) FROM flows_execution WHERE state = 'running'"
EXECUTIONS = "SELECT id, flow_name, state, errors FROM flows_execution ORDER BY id"
ACTIONS = """
    SELECT id, correlation_id, step_id, pack_name, input, "trigger", triggered_by, state, is_queued,
           lease_ends_at IS NOT NULL, attempt, retries, state_log, attempt_log, result
    FROM packs_action ORDER BY id
"""
# A transaction that has done nothing for so long is that of a frozen process.
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE state LIKE 'idle in transaction%' AND datname = current_database()
    AND clock_timestamp() - state_change > interval '0.05 seconds'
"""
LOOK_SECONDS = 0.08
BUSY_SECONDS = 20.0
ANSWER_SECONDS = 15.0


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query. Raises `psycopg.Error` or `sqlite3.Error`."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=BUSY_SECONDS)) as lite:
            return lite.execute(query).fetchall()
    with psycopg.connect(url, connect_timeout=5) as connection:
        return connection.execute(query.encode()).fetchall()


def count_open(url: str) -> int:
    """Count the actions and executions that have not ended."""
    return int(rows(url, OPEN)[0][0]) + int(rows(url, RUNNING)[0][0])


def has_waiting_transaction(url: str) -> bool:
    """Return True if a transaction in PostgreSQL waits for its client, as that of a frozen process does."""
    time.sleep(LOOK_SECONDS)
    try:
        return bool(rows(url, WAITING)[0][0])
    except psycopg.OperationalError:
        return False


def is_answered(port: int) -> bool:
    """Return True if the server on this port answers a request, with any status."""
    try:
        httpx.get(f"http://127.0.0.1:{port}/health", timeout=ANSWER_SECONDS, trust_env=False)
    except httpx.TransportError:
        return False
    return True


def read_executions(url: str) -> list[StoredExecution]:
    return [
        StoredExecution(key, flow, state, bool(json.loads(errors)))
        for key, flow, state, errors in rows(url, EXECUTIONS)
    ]


def read_actions(url: str) -> list[StoredAction]:
    return list(_actions(rows(url, ACTIONS)))


def _actions(records: list[tuple[Any, ...]]) -> Iterator[StoredAction]:
    for row in records:
        key, execution, step, pack, action_input, trigger, cause, state, waiting, leased, attempt, retries, *texts = row
        states, history, result = (json.loads(text) if text else None for text in texts)
        yield StoredAction(
            id=key,
            execution=execution,
            step=step,
            pack=pack,
            key=json.loads(action_input)["key"],
            trigger_key=(json.loads(trigger).get("payload") or {}).get("key", ""),
            triggered_by=cause,
            state=state,
            waiting=bool(waiting),
            leased=bool(leased),
            attempt=attempt,
            retries=retries,
            states=states or [],
            history=history or [],
            result=result,
        )


def damage(url: str) -> list[str]:
    """Return the problems that SQLite finds in its file."""
    if not url.startswith("sqlite"):
        return []
    return [str(text) for (text,) in rows(url, "PRAGMA integrity_check") if text != "ok"]
