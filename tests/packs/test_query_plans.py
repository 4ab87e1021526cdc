"""Rows that PostgreSQL reads for queued, leased and running work while its statistics mislead it.

Each history leaves little work among many finished actions and executions, and makes another plan look cheaper than
the index that holds only that work: the whole table, or another index. A number of rows is measured, never a time.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from audit import prometheus, queue_stats, stats
from flows.models import FlowVersion
from flyte_site.core.runtime import runtime
from packs.models import Pack
from packs.queue import backlog, long_poll
from packs.queue.leases import MAX_COUNTED_CLAIMS, find_expired_leases
from packs.queue.take import has_candidate, take
from tests.reading import cost
from tests.site.shape import register_pack

ON_SQLITE = connection.vendor == "sqlite"
pytestmark = [
    pytest.mark.database,
    pytest.mark.django_db,
    pytest.mark.skipif(ON_SQLITE, reason="only PostgreSQL chooses plans by statistics that change"),
]

MANY, FEW = 20_000, 100
VERSION = "0" * 24
PACK = "Wrk"
LABELS = {"env": "prod"}
TABLES = "packs_action", "flows_execution"

# Oldest first, ready within the last hour; half of the actions require a label.
ACTIONS = """INSERT INTO packs_action (id, correlation_id, flow_name, flow_uuid, step_id, pack_name, pack_labels,
        labels_key, name, input, context, trigger, triggered_by, retries, backoff, state, is_queued, ready_at, attempt,
        attempt_log, state_log, claimed_by, lease_ends_at, request_id, traceparent)
    SELECT lpad(nextval('numbers')::text, 24, '0'), lpad(currval('numbers')::text, 24, '0'), 'flow', '', 'one', 'Wrk',
        labels, labels, 'Do', 'null', '{}', '{}', '', 0, 0, state, state = 'NEW',
        now() - interval '1 hour' + n * interval '1 millisecond', 0, '[]',
        '[{"value":"NEW","time":"2026-01-01T00:00:00.000Z"}]', 'Wrk',
        CASE WHEN state = 'PENDING' THEN now() - interval '1 second' END, '', ''
    FROM (SELECT n, %(state)s::text AS state, CASE WHEN n %% 2 = 0 THEN '{}' ELSE '{"env":"prod"}' END AS labels
        FROM generate_series(1, %(count)s) AS n) AS numbered"""
EXECUTIONS = """INSERT INTO flows_execution (id, flow_name, version_id, event_id, state, errors, started_at, ended_at,
        changed_at, replay_of, latest_action_id)
    SELECT lpad(nextval('numbers')::text, 24, '0'), 'flow', %(version)s, '', state, '[]', now(),
        CASE WHEN state <> 'running' THEN now() - interval '3 days' END, now(), '',
        lpad(currval('numbers')::text, 24, '0')
    FROM (SELECT %(state)s::text AS state FROM generate_series(1, %(count)s)) AS numbered"""


def run(statement: str, **values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)


def maintain(command: str) -> None:
    for table in TABLES:
        run(f"{command} {table}")


def write_open(count: int) -> None:
    """Insert this number of queued actions, leased actions and running executions."""
    for state in ("NEW", "PENDING"):
        run(ACTIONS, state=state, count=count)
    run(EXECUTIONS, state="running", count=count, version=VERSION)


def write_finished(count: int) -> None:
    run(ACTIONS, state="SUCCESS", count=count)
    run(EXECUTIONS, state="succeeded", count=count, version=VERSION)


def finish_all() -> None:
    run("UPDATE packs_action SET state = 'SUCCESS', is_queued = false, lease_ends_at = NULL")
    run("UPDATE flows_execution SET state = 'succeeded', ended_at = now() - interval '3 days'")


def a_backlog_was_finished() -> None:
    """Make statistics without finished rows."""
    write_open(MANY)
    maintain("ANALYZE")
    finish_all()
    write_open(FEW)
    maintain("VACUUM")


def a_larger_backlog_was_pruned() -> None:
    """Leave large indexes and small tables."""
    write_open(2 * MANY)
    maintain("DELETE FROM")
    maintain("VACUUM")
    write_finished(MANY)
    write_open(FEW)
    maintain("VACUUM ANALYZE")


def all_was_finished() -> None:
    """Make statistics without open work."""
    write_finished(MANY)
    maintain("VACUUM ANALYZE")
    write_open(FEW)


def half_is_finished() -> None:
    """Put finished rows before the others; the statistics are correct, but PostgreSQL expects an even mix."""
    write_finished(MANY)
    write_open(MANY)
    maintain("VACUUM ANALYZE")


def the_tables_were_empty() -> None:
    """Make statistics of empty tables."""
    maintain("VACUUM ANALYZE")
    write_finished(MANY)
    write_open(FEW)


HISTORIES = {
    a_backlog_was_finished: FEW,
    a_larger_backlog_was_pruned: FEW,
    all_was_finished: FEW,
    half_is_finished: MANY,
    the_tables_were_empty: FEW,
}
MODES = "force_custom_plan", "force_generic_plan"
# Each call, and the number of rows of open work that it may read: up to its limit, or a few of each kind.
READS: dict[str, tuple[Callable[[Pack], Any], int]] = {
    "take": (take, 20),
    "waits": (lambda pack: has_candidate(pack, [], timezone.now()), 20),
    "ready": (lambda pack: long_poll.find_ready({PACK, "Other"}), 20),
    "oldest": (
        lambda pack: queue_stats.find_oldest_actions(backlog.find_queue_groups([PACK]), 10),
        2 * backlog.MAX_COUNTED + 20,
    ),
    "groups": (lambda pack: backlog.find_queue_groups([PACK, "Other"]), 2 * backlog.MAX_COUNTED),
    "orphaned": (lambda pack: backlog.find_orphans(Pack.objects.none()), 2 * backlog.MAX_COUNTED),
    "loads": (lambda pack: stats.measure_pack_loads(), stats.MAX_QUEUED + MAX_COUNTED_CLAIMS),
    "held": (lambda pack: queue_stats.count_claimed(), MAX_COUNTED_CLAIMS),
    "ended leases": (lambda pack: find_expired_leases(timezone.now(), 100), 100),
    "running": (lambda pack: prometheus.collect_pack_metrics(), prometheus.MAX_RUNNING),
    "ended in the last day": (lambda pack: stats.count_ended_by_hour(timezone.now()), 20),
}


@pytest.fixture(scope="module", params=HISTORIES, ids=lambda history: history.__name__)
def rows_read(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any
) -> Iterator[dict[tuple[str, str], int]]:
    """Measure the rows that each call reads after a history, by its name and the mode of the plan cache."""
    with django_db_blocker.unblock():
        maintain("ANALYZE")
        version = FlowVersion.objects.create(id=VERSION, flow_name="flow", document={})
        pack = register_pack(PACK, **LABELS)
        run("CREATE SEQUENCE numbers")
        try:
            for table in TABLES:
                run(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
            request.param()
            yield {(name, mode): measure(read, pack, mode) for mode in MODES for name, (read, _) in READS.items()}
        finally:
            run("TRUNCATE packs_action, flows_execution CASCADE")
            for table in TABLES:
                run(f"ALTER TABLE {table} RESET (autovacuum_enabled)")
            maintain("VACUUM ANALYZE")
            run("DROP SEQUENCE numbers")
            pack.delete()
            version.delete()


def measure(read: Callable[[Pack], Any], pack: Pack, mode: str) -> int:
    runtime.reset()
    with transaction.atomic():
        run(f"SET LOCAL plan_cache_mode = {mode}")
        rows = cost(lambda: read(pack))
        transaction.set_rollback(True)
    return rows


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", READS)
def test_only_open_work_is_read(
    name: str, mode: str, rows_read: dict[tuple[str, str], int], request: pytest.FixtureRequest
) -> None:
    history = request.node.callspec.params["rows_read"]
    # PostgreSQL counts an index entry and its row separately.
    assert rows_read[name, mode] <= 2 * min(READS[name][1], 3 * HISTORIES[history]) + 50
