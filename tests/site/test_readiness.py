"""The readiness check: it writes to the database, at most every few seconds."""

import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.db.utils import ConnectionHandler
from django.test import Client

from flyte_site.http import write_probe
from flyte_site.models import WriteProbe
from tests import processes
from tests.site.shape import problem

pytestmark = [pytest.mark.database, pytest.mark.django_db]

READY = "/health/ready"


def test_a_server_that_can_write_is_ready(client: Client) -> None:
    assert client.get(READY).status_code == 200
    assert client.get(READY).status_code == 200
    assert client.get(READY, headers={"host": "probe.example"}).status_code == 200
    assert WriteProbe.objects.count() == 1


def test_it_writes_once_in_ten_seconds(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [100.0]
    monkeypatch.setattr("flyte_site.http.write_probe.time.monotonic", lambda: seconds[0])
    client.get(READY)
    first = WriteProbe.objects.get().written_at
    seconds[0] += write_probe.PROBE_SECONDS - 0.1
    client.get(READY)
    assert WriteProbe.objects.get().written_at == first
    seconds[0] += 0.2
    client.get(READY)
    assert WriteProbe.objects.get().written_at > first


def test_a_failed_write_is_500_with_the_reason_and_is_tried_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("django.db.models.query.QuerySet.update_or_create", fail)
        assert "database or disk is full" in problem(client.get(READY), 500)["detail"]
        assert client.get("/health").status_code == 200
    problem(client.get(READY), 500)
    monkeypatch.setattr("flyte_site.http.write_probe.PROBE_SECONDS", 0)
    assert client.get(READY).status_code == 200


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no file of ours")
class TestFile:
    """A database in a file."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "flyte.sqlite3"

    @pytest.fixture
    def open_database(self, file: Path) -> ConnectionHandler:
        options = {**connection.settings_dict["OPTIONS"]}
        database = {"ENGINE": connection.settings_dict["ENGINE"], "NAME": str(file), "OPTIONS": options}
        handler = ConnectionHandler({"default": database})
        self.write(handler, "CREATE TABLE rows (id INTEGER)")
        return handler

    def write(self, handler: ConnectionHandler, statement: str = "INSERT INTO rows VALUES (1)") -> None:
        with handler["default"].cursor() as cursor:
            cursor.execute(statement)

    @pytest.mark.usefixtures("open_database")
    def test_only_its_owner_can_read_it_and_the_files_beside_it(self, file: Path) -> None:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.glob("flyte.sqlite3*")}

        assert modes == dict.fromkeys(modes, 0o600)
        assert {"flyte.sqlite3", "flyte.sqlite3-wal"} <= modes.keys()

    def test_a_deleted_file_refuses_writes_and_is_not_created_again(
        self, file: Path, open_database: ConnectionHandler
    ) -> None:
        file.unlink()

        for _ in range(2):
            with pytest.raises(OperationalError, match="was deleted"):
                self.write(open_database)
        assert not file.exists()

    def test_a_replaced_file_refuses_one_write_and_takes_the_next(
        self, file: Path, open_database: ConnectionHandler
    ) -> None:
        copy = file.with_name("copy")
        with sqlite3.connect(copy) as other:
            other.execute("CREATE TABLE rows (id INTEGER)")
        os.replace(copy, file)

        with pytest.raises(OperationalError, match="was replaced"):
            self.write(open_database)
        self.write(open_database)
        with sqlite3.connect(file) as other:
            assert other.execute("SELECT count(*) FROM rows").fetchone() == (1,)

    def test_a_second_connection_leaves_the_locks_of_the_first(
        self, file: Path, open_database: ConnectionHandler
    ) -> None:
        open_database.create_connection("default").connect()
        # A program that closes the last connection to a file removes the log of its writes.
        code = f"import sqlite3; sqlite3.connect({str(file)!r}).execute('SELECT * FROM rows').connection.close()"
        processes.run([sys.executable, "-c", code], check=True)

        self.write(open_database)
        assert file.with_name("flyte.sqlite3-wal").exists()
        with closing(sqlite3.connect(file)) as other:
            assert other.execute("SELECT count(*) FROM rows").fetchone() == (1,)
