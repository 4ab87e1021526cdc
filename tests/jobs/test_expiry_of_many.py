"""Deletion of 200,000 expired actions in batches, between which the API responds."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, models
from django.test import Client
from django.utils import timezone

from flows.engine.retention import EXECUTIONS_PER_BATCH, prune_executions
from flows.models import Execution, FlowVersion
from flyte_site.db.batch_deletion import BATCH_SIZE
from packs.models import Action
from tests.flows import builders as b
from tests.jobs.statements import deleted_by_transaction
from tests.packs.actions import waiting

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

EXECUTIONS = 18_000
ACTIONS_OF_EACH = 10
OWNERLESS = 20_000

PATIENCE = 120.0
# The caller is in the process that deletes, and must not keep it busy.
BETWEEN_SECONDS = 0.05


def insert_copies(row: models.Model, count: int, **changes: str) -> None:
    """Insert copies of a row in one statement; `changes` are SQL of columns that differ, where `n` counts from 0."""
    table = row._meta.db_table
    names = [str(field.column) for field in row._meta.concrete_fields]
    values = ", ".join(changes.get(name, f'{table}."{name}"') for name in names)
    quoted = ", ".join(f'"{name}"' for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({quoted}) "
            "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < %s) "
            f"SELECT {values} FROM numbers, {table} WHERE {table}.id = %s",
            [count, row.pk],
        )


def id_sql(number: str, kind: int) -> str:
    """Return SQL of an id of 24 digits that is older than all current ids."""
    return f"'00000000{kind}' || CAST(100000000000000 + {number} AS text)"


def create_expired_rows() -> None:
    """Create executions that ended long ago, with their actions, and actions without an execution."""
    long_ago = timezone.now() - timedelta(days=900)
    version = FlowVersion.objects.create(flow_name="old", document={})
    times = {"started_at": long_ago, "changed_at": long_ago}
    execution = Execution.objects.create(
        flow_name="old", version=version, event_id="0", latest_action_id="0", state="succeeded", **times
    )
    insert_copies(execution, EXECUTIONS, id=id_sql("n", 1))
    action = waiting("Old")
    Action.objects.filter(id=action.id).update(is_queued=False, state="SUCCESS", finished_at=long_ago)
    insert_copies(
        action,
        EXECUTIONS * ACTIONS_OF_EACH,
        id=id_sql("n", 2),
        correlation_id=id_sql(f"n / {ACTIONS_OF_EACH}", 1),
        step_id=f"CAST(n %% {ACTIONS_OF_EACH} AS text)",
    )
    insert_copies(action, OWNERLESS, id=id_sql("n", 3), correlation_id=id_sql("n", 4))
    Execution.objects.filter(id=execution.id).delete()
    Action.objects.filter(id=action.id).delete()


class Caller:
    """A thread that calls the API repeatedly, and records the number of batches before each response."""

    def __init__(self, batches: Callable[[], int]) -> None:
        self.batches = batches
        self.answers: list[tuple[str, int, int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self._over.wait(BETWEEN_SECONDS):
                self._call("event", "POST", "/v1/packs/Src/events", {"event": "Go"})
                self._call("take", "POST", "/v1/packs/Wrk/actions/take")
                self._call("audit", "GET", "/v1/audit/flows?limit=5")
        finally:
            connection.close()

    def _call(self, name: str, method: str, path: str, body: Any = "") -> None:
        response = Client(raise_request_exception=False).generic(
            method, path, json.dumps(body) if body else "", "application/json"
        )
        self.answers.append((name, response.status_code, self.batches()))

    @contextmanager
    def calling(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join(PATIENCE)


def test_the_api_responds_between_the_batches_of_a_large_deletion() -> None:
    create_expired_rows()
    assert Action.objects.count() == EXECUTIONS * ACTIONS_OF_EACH + OWNERLESS == 200_000
    b.pack("Src")
    b.pack("Wrk")
    b.save(b.step())
    with deleted_by_transaction() as transactions:
        caller = Caller(lambda: len(transactions))
        with caller.calling():
            expired = prune_executions()
    assert expired == EXECUTIONS + OWNERLESS
    batch_of_executions = Counter(
        flows_execution=EXECUTIONS_PER_BATCH, packs_action=EXECUTIONS_PER_BATCH * ACTIONS_OF_EACH
    )
    assert transactions == [batch_of_executions] * (EXECUTIONS // EXECUTIONS_PER_BATCH) + [
        Counter(packs_action=BATCH_SIZE)
    ] * (OWNERLESS // BATCH_SIZE)
    between = Counter(name for name, _, batches in caller.answers if 0 < batches < len(transactions))
    # Without pauses between the batches, few requests succeed on SQLite.
    assert min(between[name] for name in ("event", "take", "audit")) >= len(transactions) // 10
    assert {(name, status) for name, status, _ in caller.answers} == {("event", 202), ("take", 200), ("audit", 200)}
    assert not Action.objects.filter(flow_name="old").exists()
