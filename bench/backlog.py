"""Takes while very many actions wait: time, and what the database reads for one.

Of the actions 99 in 100, and the oldest, ask for a label. *all match* is taken by a pack that has it, *1 % match* by
one that lacks it, so that all those stand before it. *a label each*: every one of them asks for a label of its own.
`python -m bench.inside sqlite backlog` or `postgresql`, and sizes other than the usual.
"""

from collections.abc import Sequence

from django.db import connection, transaction
from django.utils import timezone

from bench.inside import percentiles, read, spent, tell
from packs import queue
from packs.models import Pack, pack_id

SIZES = (100, 10_000, 1_000_000)
# A hundred at a time: what was undone is cleared away in between, so that a measure does not find its own traces.
TAKES, AT_A_TIME = 1000, 100
TAKES_LEFT_DEAD = 100_000
ROWS = """INSERT INTO packs_action (id, correlation_id, flow_name, flow_uuid, step_id, pack_name, pack_labels,
        label_key, name, input, context, trigger, triggered_by, retries, backoff, state, waiting, ready_at, attempt,
        history, states, holder, request_id, traceparent)
    WITH RECURSIVE counted(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM counted WHERE n < {last})
    SELECT {id}, {id}, 'bench', '0', 'one', {pack}, {labels}, {labels}, 'Do', '"x"', '{{}}', '{{}}', '', 0, 0, 'NEW',
        {true}, {ready}, 0, '[]', '[{{"value":"NEW","time":"2026-01-01T00:00:00.000Z"}}]', '', '', '' FROM counted"""
TAKEN = """UPDATE packs_action SET state = 'PENDING', waiting = %s, attempt = 1, lease_ends_at = %s WHERE id IN (
    SELECT id FROM packs_action WHERE waiting AND pack_name = %s AND label_key = %s ORDER BY ready_at, id LIMIT 1000)"""
LONG_AGO, LATER = 1_700_000_000, 10_000_000
LABEL = """'{"env":"prod"}'"""
LABEL_EACH = """'{"host":"' || n || '"}'"""


def fill(first: int, last: int, pack: str, label: str) -> None:
    """Rows of these numbers; one in a hundred has no label, and is younger than all that have one."""
    sqlite = connection.vendor == "sqlite"
    bare = "n % 100 = 0"
    seconds = f"{LONG_AGO} + n + CASE WHEN {bare} THEN {LATER} ELSE 0 END"
    values = {
        "id": f"printf('{pack[0]}%023d', n)" if sqlite else f"'{pack[0]}' || lpad(n::text, 23, '0')",
        "pack": f"'{pack}'",
        "labels": f"CASE WHEN {bare} THEN '{{}}' ELSE {label} END",
        "ready": f"strftime('%Y-%m-%d %H:%M:%S', {seconds}, 'unixepoch')" if sqlite else f"to_timestamp({seconds})",
        "true": "1" if sqlite else "true",
    }
    with connection.cursor() as cursor:
        cursor.execute(ROWS.format(first=first, last=last - 1, **values))
        if not sqlite:
            cursor.execute("VACUUM ANALYZE packs_action")
            cursor.execute("CHECKPOINT")  # else PostgreSQL still writes this while takes are timed


def pack(name: str, **labels: str) -> Pack:
    return Pack.objects.create(identity=pack_id(name, labels), name=name, labels=labels, last_seen=timezone.now())


def take_and_undo(taker: Pack) -> None:
    with transaction.atomic():
        if queue.take(taker) is None:
            raise ValueError(f"there is nothing for {taker}")
        transaction.set_rollback(True)


def measure(database: str, waiting: int, case: str, taker: Pack) -> None:
    def call() -> None:
        take_and_undo(taker)

    spent(call, AT_A_TIME)
    clear_away()
    seconds: list[float] = []
    for _ in range(TAKES // AT_A_TIME):
        seconds += spent(call, AT_A_TIME)
        clear_away()
    tell(database=database, waiting=waiting, case=case, **percentiles(seconds), **read(call, 20))


def measure_after(database: str, waiting: int, takes: int, taker: Pack) -> None:
    """Real takes, while what was taken before still lies there."""

    def call() -> None:
        queue.take(taker)

    tell(
        database=database,
        waiting=waiting,
        case=f"after {takes} takes",
        **percentiles(spent(call, TAKES)),
        **read(call, 20),
    )


def clear_away() -> None:
    """Let PostgreSQL forget the rows that were undone, as it does by itself sooner or later."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM packs_action")


def main(database: str, arguments: Sequence[str]) -> None:
    """Measure, and print a line of JSON for each size and case."""
    sizes = [int(size) for size in arguments] or SIZES
    has, lacks, each = pack("Mixed", env="prod"), pack("Mixed"), pack("Each")
    filled = 0
    for size in sizes:
        fill(filled, size, "Mixed", LABEL)
        filled = size
        measure(database, size, "all match", has)
        measure(database, size, "1 % match", lacks)
    # As many labels as actions is beyond reason: a tenth of the greatest size.
    fill(0, filled // 10, "Each", LABEL_EACH)
    measure(database, filled // 10, "a label each", each)
    takes = min(TAKES_LEFT_DEAD, filled // 2)
    leave_dead_rows(has, takes)
    measure_after(database, filled - takes, takes, has)


def leave_dead_rows(taker: Pack, takes: int) -> None:
    """As after so many takes, oldest first, with nothing cleaned up behind them."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE packs_action SET (autovacuum_enabled = false)")
        for _ in range(takes // 1000 - 1):
            cursor.execute(TAKEN, [False, timezone.now(), taker.name, '{"env":"prod"}'])
    # The last thousand by this process itself, so that it knows what every process that takes comes to know.
    for _ in range(1000):
        queue.take(taker)
