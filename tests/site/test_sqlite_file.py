"""SQLite's file: private, and noticed when it is deleted or replaced."""

import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.db.utils import ConnectionHandler

from tests import processes

pytestmark = [
    pytest.mark.database,
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's files are its own"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "flyte.sqlite3"


@pytest.fixture
def open_database(file: Path) -> ConnectionHandler:
    options = {**connection.settings_dict["OPTIONS"]}
    database = {"ENGINE": connection.settings_dict["ENGINE"], "NAME": str(file), "OPTIONS": options}
    handler = ConnectionHandler({"default": database})
    write(handler, "CREATE TABLE rows (id INTEGER)")
    return handler


def write(handler: ConnectionHandler, statement: str = "INSERT INTO rows VALUES (1)") -> None:
    with handler["default"].cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.usefixtures("open_database")
def test_only_its_owner_can_read_it_and_the_files_beside_it(file: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.glob("flyte.sqlite3*")}

    assert modes == dict.fromkeys(modes, 0o600)
    assert {"flyte.sqlite3", "flyte.sqlite3-wal"} <= modes.keys()


def test_a_deleted_file_refuses_writes_and_is_not_created_again(file: Path, open_database: ConnectionHandler) -> None:
    file.unlink()

    for _ in range(2):
        with pytest.raises(OperationalError, match="was deleted"):
            write(open_database)
    assert not file.exists()


def test_a_replaced_file_refuses_one_write_and_takes_the_next(file: Path, open_database: ConnectionHandler) -> None:
    copy = file.with_name("copy")
    with sqlite3.connect(copy) as other:
        other.execute("CREATE TABLE rows (id INTEGER)")
    os.replace(copy, file)

    with pytest.raises(OperationalError, match="was replaced"):
        write(open_database)
    write(open_database)
    with sqlite3.connect(file) as other:
        assert other.execute("SELECT count(*) FROM rows").fetchone() == (1,)


def test_a_second_connection_leaves_the_locks_of_the_first(file: Path, open_database: ConnectionHandler) -> None:
    open_database.create_connection("default").connect()
    # A program that closes the last connection to a file removes the log of its writes.
    code = f"import sqlite3; sqlite3.connect({str(file)!r}).execute('SELECT * FROM rows').connection.close()"
    processes.run([sys.executable, "-c", code], check=True)

    write(open_database)
    assert file.with_name("flyte.sqlite3-wal").exists()
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT count(*) FROM rows").fetchone() == (1,)
