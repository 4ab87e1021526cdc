"""Takes with many queued actions: duration and database reads of one take.

99 of 100 actions, which are the oldest, require a label. *all match*: a pack with this label takes. *1 % match*: a pack
without it takes, so all actions that it can't take precede its own actions. *a label each*: every action requires a
different label. Run `python -m bench.in_process sqlite backlog` or `postgresql`; further arguments set the sizes.
"""

from collections.abc import Sequence

from django.db import connection, transaction
from django.utils import timezone

from bench.in_process import count_reads, percentiles, print_row, time_calls
from packs.models import Pack, build_pack_id
from packs.queue.take import take

SIZES = (100, 10_000, 1_000_000)
# In batches, with a vacuum of rolled back rows after each, so that a measurement does not slow down the next.
TAKE_COUNT, TAKES_PER_BATCH = 1000, 100
MAX_DEAD_ROWS = 100_000
INSERT_ACTIONS = """INSERT INTO packs_action (id, correlation_id, flow_name, flow_uuid, step_id, pack_name, pack_labels,
        labels_key, name, input, context, trigger, triggered_by, retries, backoff, state, is_queued, ready_at, attempt,
        attempt_log, state_log, claimed_by, request_id, traceparent)
    WITH RECURSIVE counted(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM counted WHERE n < {last})
    SELECT {id}, {id}, 'bench', '0', 'one', {pack}, {labels}, {labels}, 'Do', '"x"', '{{}}', '{{}}', '', 0, 0, 'NEW',
        {true}, {ready}, 0, '[]', '[{{"value":"NEW","time":"2026-01-01T00:00:00.000Z"}}]', '', '', '' FROM counted"""
MARK_TAKEN = """UPDATE packs_action SET state = 'PENDING', is_queued = %s, attempt = 1, lease_ends_at = %s WHERE id IN (
    SELECT id FROM packs_action WHERE is_queued AND pack_name = %s AND labels_key = %s
    ORDER BY ready_at, id LIMIT 1000)"""
LONG_AGO, LATER = 1_700_000_000, 10_000_000
LABEL = """'{"env":"prod"}'"""
DISTINCT_LABEL = """'{"host":"' || n || '"}'"""


def insert_actions(first: int, last: int, pack_name: str, label: str) -> None:
    """Insert actions with these numbers; one in a hundred has no label, and is newer than all with a label."""
    is_sqlite = connection.vendor == "sqlite"
    is_unlabeled = "n % 100 = 0"
    seconds = f"{LONG_AGO} + n + CASE WHEN {is_unlabeled} THEN {LATER} ELSE 0 END"
    values = {
        "id": f"printf('{pack_name[0]}%023d', n)" if is_sqlite else f"'{pack_name[0]}' || lpad(n::text, 23, '0')",
        "pack": f"'{pack_name}'",
        "labels": f"CASE WHEN {is_unlabeled} THEN '{{}}' ELSE {label} END",
        "ready": f"strftime('%Y-%m-%d %H:%M:%S', {seconds}, 'unixepoch')" if is_sqlite else f"to_timestamp({seconds})",
        "true": "1" if is_sqlite else "true",
    }
    with connection.cursor() as cursor:
        cursor.execute(INSERT_ACTIONS.format(first=first, last=last - 1, **values))
        if not is_sqlite:
            cursor.execute("VACUUM ANALYZE packs_action")
            cursor.execute("CHECKPOINT")  # otherwise PostgreSQL still writes these rows during the measurement


def create_pack(name: str, **labels: str) -> Pack:
    return Pack.objects.create(identity=build_pack_id(name, labels), name=name, labels=labels, last_seen=timezone.now())


def take_and_roll_back(taker: Pack) -> None:
    with transaction.atomic():
        if take(taker) is None:
            raise ValueError(f"no action found for {taker}")
        transaction.set_rollback(True)


def measure(database: str, waiting: int, case: str, taker: Pack) -> None:
    def call() -> None:
        take_and_roll_back(taker)

    time_calls(call, TAKES_PER_BATCH)
    vacuum()
    seconds: list[float] = []
    for _ in range(TAKE_COUNT // TAKES_PER_BATCH):
        seconds += time_calls(call, TAKES_PER_BATCH)
        vacuum()
    print_row(database=database, waiting=waiting, case=case, **percentiles(seconds), **count_reads(call, 20))


def measure_after_takes(database: str, waiting: int, takes: int, taker: Pack) -> None:
    """Measure committed takes, with the rows of earlier takes still in the table."""

    def call() -> None:
        take(taker)

    print_row(
        database=database,
        waiting=waiting,
        case=f"after {takes} takes",
        **percentiles(time_calls(call, TAKE_COUNT)),
        **count_reads(call, 20),
    )


def vacuum() -> None:
    """Make PostgreSQL remove rolled back rows, as autovacuum does later."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM packs_action")


def main(database: str, arguments: Sequence[str]) -> None:
    """Print a line of JSON for each size and case."""
    sizes = [int(size) for size in arguments] or SIZES
    matching, unlabeled, distinct = create_pack("Mixed", env="prod"), create_pack("Mixed"), create_pack("Each")
    inserted = 0
    for size in sizes:
        insert_actions(inserted, size, "Mixed", LABEL)
        inserted = size
        measure(database, size, "all match", matching)
        measure(database, size, "1 % match", unlabeled)
    # As many labels as actions is unrealistic: use a tenth of the largest size.
    insert_actions(0, inserted // 10, "Each", DISTINCT_LABEL)
    measure(database, inserted // 10, "a label each", distinct)
    takes = min(MAX_DEAD_ROWS, inserted // 2)
    create_dead_rows(matching, takes)
    measure_after_takes(database, inserted - takes, takes, matching)


def create_dead_rows(taker: Pack, takes: int) -> None:
    """Create the state after this many takes of the oldest actions, without vacuum."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE packs_action SET (autovacuum_enabled = false)")
        for _ in range(takes // 1000 - 1):
            cursor.execute(MARK_TAKEN, [False, timezone.now(), taker.name, '{"env":"prod"}'])
    # Take the last thousand in this process, so that its caches are as in any process that takes.
    for _ in range(1000):
        take(taker)
