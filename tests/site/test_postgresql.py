"""Settings of PostgreSQL sessions, and what their timeouts do to requests and jobs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import Error, OperationalError, connection, transaction
from django.test import Client, override_settings
from django.utils import timezone

from flows.engine import jobs
from flows.engine.complete import expire_lease
from flows.engine.retention import prune_executions
from flows.models import Execution, ReceivedKey
from flyte_site.core.clock import read_postgresql_time
from flyte_site.db.postgresql import sessions
from flyte_site.http.problems import to_problem
from packs.dead_packs import delete_dead_packs
from packs.models import Action, Pack
from tests.flows import builders as b
from tests.flows.attempts import command, let_time_pass

pytestmark = [
    pytest.mark.database,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="it is about PostgreSQL's connections"),
]
LONG_AGO = timezone.now() - timedelta(days=1000)
TIMEOUTS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


@contextmanager
def separate_session() -> Iterator[Any]:
    """Open a connection with the settings of a new session."""
    wrapper = connection.copy()
    try:
        yield wrapper
    finally:
        wrapper.close()


@contextmanager
def locked(row: Any) -> Iterator[None]:
    """Keep a row locked by a separate session while the block runs."""
    with separate_session() as session, session.cursor() as cursor:
        session.set_autocommit(False)
        table = row._meta.db_table
        cursor.execute(f"SELECT 1 FROM {table} WHERE {row._meta.pk.column} = %s FOR UPDATE", [row.pk])
        try:
            yield
        finally:
            session.rollback()


@pytest.fixture
def timeouts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give this process's sessions a short timeout for locks, or those of the parameter."""
    monkeypatch.setattr(sessions, "_process_timeouts", getattr(request, "param", sessions.SessionTimeouts(lock=1)))
    connection.close()
    yield
    connection.close()


def read_settings(*names: str) -> list[str]:
    with separate_session() as session, session.cursor() as cursor:
        return [cursor.execute(f"SHOW {name}").fetchone()[0] for name in names]


@pytest.mark.django_db
def test_just_in_time_compilation_is_off() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)


@pytest.mark.django_db
def test_requests_have_shorter_timeouts_than_jobs_and_commands_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_process_timeouts", sessions.SessionTimeouts())
    assert read_settings(*TIMEOUTS) == ["0", "0", "0"]
    sessions.use_request_timeouts()
    assert read_settings(*TIMEOUTS) == ["5s", "30s", "30s"]
    sessions.use_job_timeouts()
    assert read_settings(*TIMEOUTS) == ["15s", "10min", "1min"]
    with override_settings(FLYTE_JOB_LOCK_SECONDS=7):
        sessions.use_job_timeouts()
    assert read_settings("lock_timeout") == ["7s"]


@pytest.mark.django_db
def test_the_database_notices_clients_that_have_vanished() -> None:
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
    assert read_settings(*names) == ["10", "10", "3"]


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_is_not_released_is_503_with_retry_after(timeouts: None) -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"))
    b.tell(source)
    action = b.take(worker)
    with locked(Execution.objects.get()):
        for path in (f"/v1/packs/Wrk/actions/{action.id}/result", f"/v1/audit/flows/{action.correlation_id}/cancel"):
            response = Client().post(path, {"event": "Done"}, content_type="application/json")
            assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
            assert response.json()["detail"] == "another transaction has locked the same data; try again"
    assert b.give(worker, action) is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("timeouts", "statement", "detail"),
    [
        (sessions.SessionTimeouts(statement=1), "SELECT pg_sleep(60)", "the database took too long; try again"),
        (sessions.SessionTimeouts(idle=1), "SELECT 1", "the transaction was idle for too long; try again"),
    ],
    indirect=["timeouts"],
)
def test_a_slow_statement_and_an_idle_transaction_end_with_503(timeouts: None, statement: str, detail: str) -> None:
    def run() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            if statement == "SELECT 1":
                time.sleep(1.5)
            cursor.execute(statement)

    with pytest.raises(Error) as caught:
        run()
    problem = to_problem(caught.value)
    assert problem
    assert (problem.status, problem.detail) == (503, detail)


@pytest.mark.django_db(transaction=True)
def test_a_pack_whose_row_is_locked_can_still_take_and_send(timeouts: None) -> None:
    b.pack("Src")
    Pack.objects.update(last_seen=timezone.now() - timedelta(minutes=5))
    with locked(Pack.objects.get()):
        taken = Client().post("/v1/packs/Src/actions/take")
        sent = Client().post("/v1/packs/Src/events", {"event": "Go"}, content_type="application/json")
    assert (taken.status_code, sent.status_code) == (204, 202)


def expired_actions() -> list[Action]:
    """Start three executions, and take their actions; all leases have expired."""
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(timeout="10m")))
    for _ in range(3):
        b.tell(source)
        b.take(worker)
    let_time_pass(minutes=11)
    return list(Action.objects.order_by("lease_ends_at"))


@pytest.mark.django_db(transaction=True)
def test_leases_of_what_is_locked_wait_and_all_others_end(timeouts: None) -> None:
    first, second, _ = expired_actions()
    with locked(Execution.objects.get(id=first.correlation_id)), locked(second):
        assert jobs.expire_leases() == 1
    assert jobs.expire_leases() == 2


@pytest.mark.django_db(transaction=True)
def test_a_lease_that_cannot_be_ended_does_not_keep_others(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = expired_actions()

    def fail(action_id: str) -> Any:
        if action_id == first.id:
            raise ZeroDivisionError
        return expire_lease(action_id)

    monkeypatch.setattr(jobs, "expire_lease", fail)
    assert jobs.expire_leases() == 2


@pytest.mark.django_db(transaction=True)
def test_retention_skips_what_is_locked_and_goes_on(timeouts: None) -> None:
    first, second, _ = expired_actions()
    Execution.objects.update(changed_at=LONG_AGO)
    Pack.objects.update(last_seen=LONG_AGO)
    with locked(Execution.objects.get(id=first.correlation_id)), locked(second), locked(Pack.objects.first()):
        assert (prune_executions(), delete_dead_packs()) == (1, 1)
    assert (prune_executions(), delete_dead_packs()) == (2, 1)


@pytest.mark.django_db(transaction=True)
def test_batches_of_deletions_skip_what_is_locked(timeouts: None) -> None:
    keys = [ReceivedKey(pack_identity="Src", key=str(i), digest="", received_at=LONG_AGO) for i in range(3)]
    first, *_ = ReceivedKey.objects.bulk_create(keys)
    with locked(first):
        assert jobs.prune_idempotency_keys() == 2
    assert jobs.prune_idempotency_keys() == 1


@pytest.mark.django_db(transaction=True)
def test_a_lost_session_is_an_error_of_the_database_also_when_its_clock_is_read() -> None:
    connection.ensure_connection()
    with separate_session() as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    with pytest.raises(OperationalError) as caught:
        read_postgresql_time()
    connection.close()
    problem = to_problem(caught.value)
    assert problem is not None
    assert problem.status == 503
