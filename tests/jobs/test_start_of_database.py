"""The database at the start: waiting until it is there, and one migration at a time."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.core.management import call_command
from django.db import OperationalError, connection

from flyte_site.server import db_setup
from flyte_site.server.migration_lock import WAITING_NOTICE, lock_migrations


class AwayConnection:
    """A connection to PostgreSQL that fails with these errors, and then succeeds."""

    vendor = "postgresql"

    def __init__(self, *errors: str) -> None:
        self.errors: Iterator[str] = iter(errors)

    def ensure_connection(self) -> None:
        for error in self.errors:
            raise OperationalError(error)


@pytest.mark.unit
def test_the_reason_is_logged_when_it_changes_and_the_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("flyte_site.server.db_setup.time.sleep", pauses.append)
    monkeypatch.setattr(db_setup, "connection", AwayConnection(*["refused"] * 6, "starting up"))
    with structlog.testing.capture_logs() as logs:
        db_setup.wait_for_database()
    assert [line["event"] for line in logs] == ["database_away", "database_away", "database_back"]
    assert pauses == [0.25, 0.5, 1, 2, 4, 5, 5]


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_a_second_migration_says_that_it_waits_and_continues_after_the_first(capfd: pytest.CaptureFixture[str]) -> None:
    def migrate() -> None:
        try:
            call_command("migrate", verbosity=0, interactive=False)
        finally:
            connection.close()

    second = threading.Thread(target=migrate)
    with lock_migrations(connection):
        second.start()
        notice = read_error_line(capfd)
        assert second.is_alive()
    second.join()
    assert notice == WAITING_NOTICE
    with lock_migrations(connection):
        pass
    assert capfd.readouterr().err == ""


@pytest.mark.unit
def test_migrate_does_not_wait_to_report_what_it_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[dict[str, Any]] = []
    monkeypatch.setattr("django.core.management.commands.migrate.Command.handle", lambda *_, **o: called.append(o))
    monkeypatch.setattr("flyte_site.management.commands.migrate.lock_migrations", lambda _: pytest.fail("locked"))
    call_command("migrate", plan=True, skip_checks=True)
    assert [options["plan"] for options in called] == [True]


def read_error_line(capfd: pytest.CaptureFixture[str]) -> str:
    """Wait for output on standard error."""
    pause = threading.Event()
    while not (text := capfd.readouterr().err):
        pause.wait(0.01)
    return text.strip()
