"""A hundred thousand executions, inserted by SQL in a few seconds; the same on both databases.

Executions start one second apart until `NEWEST`; number 0 is the newest. Each has an action of the step `work`, and
every fourth also a second one. All values depend on the number, so tests can compute the expected results.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

from flows.models import Event, Execution, FlowVersion
from packs.models import Action

EXECUTIONS = 100_000
EVENTS = 20_000
NEWEST = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
VERSION = "0" * 24
DOCUMENT = {
    "name": "many",
    "steps": [
        {"id": "work", "event": {"packName": "Src", "name": "Go"}, "command": {"packName": "Wrk", "name": "Do"}},
        {
            "id": "tell",
            "dependsOn": ["work"],
            "event": {"packName": "Wrk", "name": "Done"},
            "command": {"packName": "Slack", "name": "SendMessage"},
        },
    ],
}
# Intervals between the numbers of executions of a kind.
FAILED_EVERY = 100
RARE_EVERY = 9_000
LONG_AGO = 95_000  # the only execution with flow, step, command and pack "old", and the only cancelled one
WAITING_EVERY = 50

_NUMBERS = "WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n < {last})"


# One in a thousand executions requires a label.
FEW_LABELS = """CASE WHEN n % 1000 = 3 THEN '{"env":"prod"}' ELSE '{}' END"""
OWN_LABELS = """'{"host":"h-' || n || '"}'"""


@dataclass(frozen=True)
class Dataset:
    """The variable part of the rows: `long_ago` numbers the old execution, `labels` is an SQL expression of `n`."""

    newest: datetime = NEWEST
    long_ago: int = LONG_AGO
    labels: str = FEW_LABELS


@contextmanager
def insert_executions(count: int = EXECUTIONS, data: Dataset = Dataset(), *, analyzed: bool = True) -> Iterator[None]:
    """Insert and commit executions with their actions and events, and delete them at the end of the block."""
    _delete_all()
    version = FlowVersion.objects.create(id=VERSION, flow_name="many", document=DOCUMENT)
    try:
        write_rows(count, data, analyzed=analyzed)
        yield
    finally:
        _delete_all()
        version.delete()


def _delete_all() -> None:
    """Delete all rows; on PostgreSQL by TRUNCATE, which leaves no dead rows in indexes and no row count."""
    tables = [model._meta.db_table for model in (Action, Execution, Event)]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
        else:
            for table in tables:
                cursor.execute(f"DELETE FROM {table}")


def write_rows(count: int, data: Dataset = Dataset(), *, analyzed: bool = True) -> None:
    """Insert the rows, one statement for each kind, and update the statistics of PostgreSQL's planner."""
    with connection.cursor() as cursor:
        for statement in (_executions(count, data), _actions(count, data), _second_actions(count, data)):
            cursor.execute(statement)
        cursor.execute(_events(min(EVENTS, count), data))
        if connection.vendor == "postgresql" and analyzed:
            for model in (Action, Execution, Event):
                cursor.execute(f"VACUUM ANALYZE {model._meta.db_table}")


def id_of(number: int, kind: int = 1, newest: datetime = NEWEST) -> str:
    """Return the id of an execution (1), one of its actions (2, 3) or its event (4) by its number."""
    return f"{int((newest - timedelta(seconds=number)).timestamp() * 1000):012x}{kind:02x}{number:010x}"


def _id(newest: datetime, kind: int) -> str:
    """Return `id_of` as an SQL expression of the number `n`."""
    milliseconds = f"{int(newest.timestamp() * 1000)} - n * 1000"
    if connection.vendor == "sqlite":
        return f"printf('%012x{kind:02x}%010x', {milliseconds}, n)"
    return f"lpad(to_hex({milliseconds}), 12, '0') || '{kind:02x}' || lpad(to_hex(n), 10, '0')"


def _time(newest: datetime, seconds: float = 0) -> str:
    """Return the time of the number `n` plus these seconds, as an SQL expression."""
    after = newest + timedelta(seconds=seconds)
    if connection.vendor == "sqlite":
        return f"strftime('%Y-%m-%d %H:%M:%S', {int(after.timestamp())} - n, 'unixepoch')"
    return f"to_timestamp({after.timestamp()} - n)"


def _text(newest: datetime, seconds: float = 0) -> str:
    """Return the time in the format of an action's states, as an SQL expression."""
    after = newest + timedelta(seconds=seconds)
    if connection.vendor == "sqlite":
        return f"strftime('%Y-%m-%dT%H:%M:%S.000Z', {int(after.timestamp())} - n, 'unixepoch')"
    return f"to_char(to_timestamp({after.timestamp()} - n) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\".000Z\"')"


def _pick(data: Dataset, old: str, rare: str, common: str) -> str:
    return f"CASE WHEN n = {data.long_ago} THEN '{old}' WHEN n % {RARE_EVERY} = 1 THEN '{rare}' ELSE '{common}' END"


def _flag(condition: str) -> str:
    """Convert an SQL condition to a value of a boolean column."""
    return f"({condition})" if connection.vendor == "postgresql" else f"CASE WHEN {condition} THEN 1 ELSE 0 END"


def _executions(count: int, data: Dataset) -> str:
    newest = data.newest
    state = f"""CASE WHEN n = {data.long_ago} THEN 'cancelled' WHEN n % {WAITING_EVERY} = 2 THEN 'running'
        WHEN n % {FAILED_EVERY} = 0 THEN 'failed' ELSE 'succeeded' END"""
    ended = f"CASE WHEN n % {WAITING_EVERY} = 2 THEN NULL ELSE {_time(newest, 10)} END"
    latest = f"CASE WHEN n % 4 = 0 THEN {_id(newest, 3)} ELSE {_id(newest, 2)} END"
    flow = _pick(data, "old", "rare", "many")
    return f"""INSERT INTO flows_execution (id, flow_name, version_id, event_id, state, errors, started_at, ended_at,
            changed_at, replay_of, latest_action_id)
        {_NUMBERS.format(last=count - 1)}
        SELECT {_id(newest, 1)}, {flow}, '{VERSION}', {_id(newest, 4)}, {state}, '[]', {_time(newest)}, {ended},
            {_time(newest, 10)}, '', {latest} FROM counted"""


_ACTION = """INSERT INTO packs_action (id, correlation_id, flow_name, flow_uuid, step_id, pack_name, pack_labels,
    labels_key, name, input, context, trigger, triggered_by, retries, backoff, state, is_queued, ready_at, attempt,
    attempt_log, state_log, claimed_by, taken_at, lease_ends_at, request_id, traceparent) """


def _trigger(pack_name: str, event_name: str) -> str:
    return f'{{"event":"{event_name}","pack":{{"id":"{pack_name}","name":"{pack_name}"}}}}'


def _actions(count: int, data: Dataset) -> str:
    newest = data.newest
    queued = f"n % {WAITING_EVERY} = 2"
    states = f"""'[{{"value":"NEW","time":"' || {_text(newest)} || '"}}' || CASE WHEN {queued} THEN '' ELSE
        ',{{"value":"PENDING","time":"' || {_text(newest, 1)} || '"}},{{"value":"SUCCESS","time":"' ||
        {_text(newest, 3)} || '"}}' END || ']'"""
    context = f"""'{{"Who":"user ' || n || '"' || CASE WHEN n % {RARE_EVERY} = 1 THEN ',"Word":"Needle"' ELSE '' END
        || '}}'"""
    return f"""{_ACTION} {_NUMBERS.format(last=count - 1)}
        SELECT {_id(newest, 2)}, {_id(newest, 1)}, {_pick(data, "old", "rare", "many")}, '{VERSION}',
            {_pick(data, "old", "rare", "work")}, {_pick(data, "old", "Rare", "Wrk")}, {data.labels}, {data.labels},
            {_pick(data, "old", "Rare", "Do")}, 'null', {context}, '{_trigger("Src", "Go")}', '', 0, 0,
            CASE WHEN {queued} THEN 'NEW' ELSE 'SUCCESS' END, {_flag(queued)}, {_time(newest)},
            CASE WHEN {queued} THEN 0 ELSE 1 END, '[]', {states}, 'Wrk', NULL, NULL, '', '' FROM counted"""


def _second_actions(count: int, data: Dataset) -> str:
    newest = data.newest
    states = f"""'[{{"value":"NEW","time":"' || {_text(newest, 3)} || '"}},{{"value":"PENDING","time":"' ||
        {_text(newest, 4)} || '"}}' || CASE WHEN n % 2000 = 0 THEN '' ELSE ',{{"value":"SUCCESS","time":"' ||
        {_text(newest, 9)} || '"}}' END || ']'"""
    claimed = "n % 2000 = 0"
    return f"""{_ACTION} {_NUMBERS.format(last=count - 1)}
        SELECT {_id(newest, 3)}, {_id(newest, 1)}, {_pick(data, "old", "rare", "many")}, '{VERSION}', 'tell', 'Slack',
            '{{}}', '{{}}', 'SendMessage', 'null', '{{}}', '{_trigger("Wrk", "Done")}', {_id(newest, 2)}, 0, 0,
            CASE WHEN {claimed} THEN 'PENDING' ELSE 'SUCCESS' END, {_flag("1 = 0")}, {_time(newest)}, 1, '[]', {states},
            'Slack', {_time(newest, 4)}, CASE WHEN {claimed} THEN {_time(newest, 86_400)} ELSE NULL END, '', ''
        FROM counted WHERE n % 4 = 0"""


def _events(count: int, data: Dataset) -> str:
    newest = data.newest
    return f"""INSERT INTO flows_event (id, name, pack_identity, pack_name, pack_labels, payload, created_at,
            received_at, correlation_id, outcomes, heard, payload_bytes)
        {_NUMBERS.format(last=count - 1)}
        SELECT {_id(newest, 4)}, {_pick(data, "old", "Rare", "Go")}, 'Src', {_pick(data, "old", "Rare", "Src")}, '{{}}',
            'null', {_time(newest)}, {_time(newest)}, '', '[]', {_flag("1 = 1")}, 0 FROM counted"""
