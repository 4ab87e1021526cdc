"""The floor of the flow benchmark: the same rows written to the same tables with plain database connections.

Each flow writes the same as in the server: its event, execution and action in one commit; two takes; two results, the
first with an event and the second action. It uses as many connections as the server has callers, in as many processes,
without HTTP, templates, ORM or reads.
"""

import json
import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

import psycopg

PROCESSES = 2
WAIT_SECONDS = 60
NOW = "2026-11-21 12:00:00.123456+00:00"
VERSION = "0" * 24
STATE = '{"value":"NEW","time":"2026-11-21T12:00:00.123Z"}'
STATE_LOGS = tuple(f"[{','.join([STATE] * count)}]" for count in (1, 2, 3))
TRIGGER = json.dumps(
    {
        "event": "Go",
        "pack": {"id": "Source", "name": "Source"},
        "payload": {"who": "ann", "at": 1234567.123456},
        "createdAt": "2026-11-21T12:00:00.123Z",
        "receivedAt": "2026-11-21T12:00:00.123Z",
    }
)
OUTCOMES = json.dumps(
    [{"flow": "bench", "uuid": VERSION, "correlationId": VERSION, "steps": [{"stepId": "one", "outcome": "fired"}]}]
)

EVENT = """INSERT INTO flows_event (id, name, pack_identity, pack_name, pack_labels, payload, payload_bytes, created_at,
    received_at, correlation_id, heard, outcomes) VALUES (?, 'Go', 'Source', 'Source', '{}', '{"who":"ann"}', 0, ?, ?,
    ?, ?, ?)"""
EXECUTION = """INSERT INTO flows_execution (id, flow_name, version_id, event_id, state, errors, started_at, ended_at,
    changed_at, replay_of, latest_action_id) VALUES (?, 'bench', ?, ?, 'running', '[]', ?, NULL, ?, '', ?)"""
ACTION = """INSERT INTO packs_action (id, correlation_id, flow_name, flow_uuid, step_id, pack_name, pack_labels,
    labels_key, name, input, context, trigger, triggered_by, retries, backoff, state, is_queued, ready_at, attempt,
    attempt_log, state_log, claimed_by, request_id, traceparent) VALUES (?, ?, 'bench', ?, ?, 'Worker', '{}', '{}',
    'Do', '{"to":"ann"}', '{"Who":"ann"}', ?, '', 0, 0, 'NEW', ?, ?, 0, '[]', ?, '', '', '')"""
TAKE = """UPDATE packs_action SET state = 'PENDING', is_queued = ?, claimed_by = 'Worker', state_log = ?, attempt = 1,
    lease_ends_at = ? WHERE id = ? AND is_queued"""
FINISH = """UPDATE packs_action SET state = 'SUCCESS', state_log = ?, result = ?, finished_at = ?, lease_ends_at = NULL
    WHERE id = ?"""
UPDATE_EXECUTION = (
    "UPDATE flows_execution SET latest_action_id = ?, state = ?, ended_at = ?, changed_at = ? WHERE id = ?"
)
FLOW_VERSION = """INSERT INTO flows_flowversion (id, flow_name, document, source, media_type, saved_by, note, saved_at)
    VALUES (?, 'bench', '{}', '', '', '', '', ?)"""

Execute = Callable[[str, tuple[Any, ...]], Any]


class BareConnection:
    """A plain database connection. `url` is that of a migrated database."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite:///")
        self.connection: Any
        if self.is_sqlite:
            path = url.removeprefix("sqlite:///")
            self.connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=FULL")
        else:
            self.connection = psycopg.connect(url)

    def execute(self, sql: str, values: tuple[Any, ...]) -> None:
        if self.is_sqlite and not self.connection.in_transaction:
            self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute(sql if self.is_sqlite else sql.replace("?", "%s"), values)

    def commit(self) -> None:
        self.connection.commit()


def write_flow(connection: BareConnection, number: str) -> None:
    """Write all rows of one flow; `number` has 22 characters."""
    first, second = f"{number}01", f"{number}02"
    connection.execute(EVENT, (first, NOW, NOW, "", True, OUTCOMES))
    connection.execute(EXECUTION, (first, VERSION, first, NOW, NOW, first))
    connection.execute(ACTION, (first, first, VERSION, "one", TRIGGER, True, NOW, STATE_LOGS[0]))
    connection.commit()
    take_action(connection, first)
    connection.execute(FINISH, (STATE_LOGS[2], TRIGGER, NOW, first))
    connection.execute(ACTION, (second, first, VERSION, "two", TRIGGER, True, NOW, STATE_LOGS[0]))
    connection.execute(UPDATE_EXECUTION, (second, "running", None, NOW, first))
    connection.execute(EVENT, (second, NOW, NOW, first, True, OUTCOMES))
    connection.commit()
    take_action(connection, second)
    connection.execute(FINISH, (STATE_LOGS[2], TRIGGER, NOW, second))
    connection.execute(UPDATE_EXECUTION, (second, "succeeded", NOW, NOW, first))
    connection.commit()


def take_action(connection: BareConnection, action: str) -> None:
    connection.execute(TAKE, (False, STATE_LOGS[1], NOW, action))
    connection.commit()


def measure_seconds(url: str, flows: int, connections: int) -> float:
    """Measure the seconds for this many flows and connections; nothing else may use the migrated database `url`."""
    connection = BareConnection(url)
    connection.execute(FLOW_VERSION, (VERSION, NOW))
    connection.commit()
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(PROCESSES + 1)
    arguments = (url, flows // connections, connections // PROCESSES, ready)
    processes = [
        context.Process(target=run_process, args=(process_number, *arguments)) for process_number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    ready.wait(WAIT_SECONDS)
    start = time.perf_counter()
    for process in processes:
        process.join()
    return time.perf_counter() - start


def run_process(process_number: int, url: str, flows: int, connections: int, ready: Barrier) -> None:
    """Write the flows of one process: `flows` on each of its `connections`."""

    def run(client: int) -> None:
        connection = BareConnection(url)
        for number in range(flows):
            write_flow(connection, f"{client:04x}{number:018x}")

    threads = [
        threading.Thread(target=run, args=(process_number * connections + client,)) for client in range(connections)
    ]
    ready.wait(WAIT_SECONDS)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
