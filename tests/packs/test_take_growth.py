"""Reads of a take for a growing queue, under any statistics: rows of PostgreSQL, or steps of SQLite."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from flyte_site.core.ids import new_id
from flyte_site.core.runtime import runtime
from packs.models import Action, Pack, build_labels_key, build_pack_id
from packs.queue.take import take
from tests.reading import cost

pytestmark = [pytest.mark.database, pytest.mark.django_db]

ON_SQLITE = connection.vendor == "sqlite"
# SQL expressions of the number n.
HEXADECIMAL = "printf('%08x', n)" if ON_SQLITE else "lpad(to_hex(n), 8, '0')"
LATER = (
    "strftime('%Y-%m-%d %H:%M:%f', ready_at, (n / 1000.0) || ' seconds')"
    if ON_SQLITE
    else "ready_at + n * interval '1 millisecond'"
)
FEW, MANY = 2_000, 20_000
TAKES = 10
# PostgreSQL keeps a plan for few rows until the statistics are updated.
AS_OF_FEW = "made for few rows"
PLANS = ["fresh"] if ON_SQLITE else ["fresh", AS_OF_FEW]
CASES: dict[str, dict[str, str]] = {
    "all queued actions are for the pack": {"env": "prod"},
    "older actions are for others": {},
}


def fill(name: str, count: int, bare: int = 100) -> None:
    """Insert queued actions: one in `bare` requires no label, and is newer than all that require one."""
    for first, labels in enumerate(({}, {"env": "prod"})):
        ready_at = timezone.now() - timedelta(minutes=60 if labels else 30)
        pattern = Action.objects.create(
            id=f"{new_id()[:16]}{first:08x}",
            correlation_id=new_id(),
            flow_name="flow",
            flow_uuid="0",
            step_id="one",
            pack_name=name,
            pack_labels=labels,
            labels_key=build_labels_key(labels),
            name="Do",
            trigger={},
            state_log=[{"value": "NEW", "time": "2026-01-01T00:00:00.000Z"}],
            ready_at=ready_at,
        )
        copy(pattern, count, f"n > {first} AND n % {bare} {'<>' if labels else '='} 0")


def copy(pattern: Action, count: int, condition: str) -> None:
    """Copy an action for the numbers n < `count` of this condition, each a millisecond newer, in one statement."""
    columns = [str(field.column) for field in Action._meta.concrete_fields]
    values = {column: column for column in columns} | {
        "id": f"substr(id, 1, 16) || {HEXADECIMAL}",
        "correlation_id": f"substr(id, 1, 16) || {HEXADECIMAL}",
        "ready_at": LATER,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n < {count - 1})"
            f" INSERT INTO packs_action ({', '.join(columns)})"
            f" SELECT {', '.join(values[column] for column in columns)} FROM counted, packs_action"
            f" WHERE id = '{pattern.id}' AND {condition}"
        )


def measure_takes(name: str, count: int, plan: str, labels: dict[str, str]) -> int:
    """Measure the reads of several takes with this number of queued actions."""
    pack = Pack.objects.create(identity=build_pack_id(name, labels), name=name, labels=labels, last_seen=timezone.now())
    runtime.reset()
    if plan == AS_OF_FEW:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE packs_action CASCADE")  # rows of other tests make the table large
            cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        fill(name, 4 * TAKES, bare=2)
        for _ in range(TAKES):
            assert take(pack)
    fill(name, count)
    if plan == "fresh":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    for _ in range(TAKES):
        assert take(pack)
    return sum(cost(lambda: take(pack)) for _ in range(TAKES))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("case", CASES)
def test_a_take_reads_no_more_with_a_queue_ten_times_as_long(case: str, plan: str) -> None:
    few, many = (measure_takes(f"Wrk{count}", count, plan, CASES[case]) for count in (FEW, MANY))
    assert many <= 1.5 * few + 20 * TAKES
