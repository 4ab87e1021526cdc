"""What stands in the database when all is over, read by plain SQL and not by the code that is tested."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg

from tests.faults.story import Action, Execution

OPEN = "SELECT count(*) FROM packs_action WHERE state IN ('NEW', 'PENDING')"
RUNNING = "SELECT count(*) FROM flows_execution WHERE state = 'running'"
EXECUTIONS = "SELECT id, flow_name, state, errors FROM flows_execution ORDER BY id"
ACTIONS = """
    SELECT id, correlation_id, step_id, pack_name, input, "trigger", triggered_by, state, is_queued,
           lease_ends_at IS NOT NULL, attempt, retries, state_log, attempt_log, result
    FROM packs_action ORDER BY id
"""
BUSY_SECONDS = 20.0


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """What a query gives. Raises `psycopg.Error` or `sqlite3.Error`."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=BUSY_SECONDS)) as lite:
            return lite.execute(query).fetchall()
    with psycopg.connect(url, connect_timeout=5) as connection:
        return connection.execute(query.encode()).fetchall()


def count_open(url: str) -> int:
    """How many actions and executions have not come to their end."""
    return int(rows(url, OPEN)[0][0]) + int(rows(url, RUNNING)[0][0])


def read_executions(url: str) -> list[Execution]:
    return [Execution(key, flow, state, bool(json.loads(errors))) for key, flow, state, errors in rows(url, EXECUTIONS)]


def read_actions(url: str) -> list[Action]:
    return list(_actions(rows(url, ACTIONS)))


def _actions(found: list[tuple[Any, ...]]) -> Iterator[Action]:
    for row in found:
        key, execution, step, pack, given, trigger, cause, state, waiting, leased, attempt, retries, *texts = row
        states, history, result = (json.loads(text) if text else None for text in texts)
        yield Action(
            id=key,
            execution=execution,
            step=step,
            pack=pack,
            key=json.loads(given)["key"],
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
    """What SQLite finds wrong with its own file."""
    if not url.startswith("sqlite"):
        return []
    return [str(text) for (text,) in rows(url, "PRAGMA integrity_check") if text != "ok"]
