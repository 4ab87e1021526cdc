"""What the log tells of exceptions: their kinds and places, and no value of anybody's."""

import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.conf import settings
from django.db import DataError, Error, IntegrityError, connection, transaction
from django.utils import timezone

from flyte_site.core.logging_config import build_logging_config
from flyte_site.core.safe_tracebacks import HIDDEN_MESSAGE, redact_exception, safe_database_message
from packs.models import Pack
from tests.server import Server, StartServer
from tests.site.processes import PATIENCE
from tests.site.shape import problem, register_pack

MARK = "Zx9-nobody-else-says-this"


def line(error: BaseException | bool) -> str:
    return str(redact_exception(None, "error", {"event": "it_failed", "exc_info": error}).get("exception"))


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


@pytest.mark.unit
@pytest.mark.parametrize("error", [ValueError(f"no {MARK}"), KeyError(MARK), RuntimeError(MARK), UnicodeError(MARK)])
def test_an_exception_is_told_by_its_kind_and_place_without_its_message(error: Exception) -> None:
    told = line(raised(error))
    assert MARK not in told
    assert told.startswith("Traceback (most recent call last):\n")
    assert told.endswith(f"{type(error).__name__}: {HIDDEN_MESSAGE}")
    assert 'test_safe_tracebacks.py", line ' in told
    assert "in raised" in told


@pytest.mark.unit
def test_what_is_about_the_program_keeps_its_message() -> None:
    assert line(raised(AttributeError("no attribute 'x'"))).endswith("AttributeError: no attribute 'x'")
    assert line(raised(ConnectionRefusedError(111, "refused"))).endswith("ConnectionRefusedError: [Errno 111] refused")


@pytest.mark.unit
def test_causes_are_told_first_and_as_discreetly() -> None:
    told = line(raised(TypeError("outer"), raised(ValueError(MARK))))
    assert MARK not in told
    link = "\n\nThe above exception was the direct cause of the following exception:\n\n"
    assert told.index("ValueError") < told.index(link) < told.index("TypeError: outer")


@pytest.mark.unit
def test_the_exception_that_is_being_handled_is_told_too_and_none_is_none() -> None:
    try:
        raise KeyError(MARK)
    except KeyError:
        assert line(True).endswith(f"builtins.KeyError: {HIDDEN_MESSAGE}")
        assert sys.exc_info()[0] is KeyError
    assert line(True) == "None"


@pytest.mark.unit
def test_circles_of_causes_end() -> None:
    one, other = ValueError("1"), ValueError("2")
    one.__cause__, other.__cause__ = other, one
    assert line(one).count("builtins.ValueError") == 2


@pytest.mark.unit
def test_debug_tells_all_and_every_other_level_nothing_more() -> None:
    def processors(level: str) -> list[Any]:
        found: list[Any] = build_logging_config(level, "")["formatters"]["line"]["foreign_pre_chain"]
        return found

    try:
        assert redact_exception not in processors("DEBUG")
        assert all(redact_exception in processors(level) for level in ("INFO", "WARNING", "ERROR"))
    finally:
        build_logging_config(settings.LOGLEVEL, settings.LOGFILE)


def broken(statement: str, *values: str) -> Error:
    """The error of a statement that the database refuses."""
    with pytest.raises(Error) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
    return caught.value


@pytest.mark.database
@pytest.mark.django_db
def test_a_row_that_is_there_already_is_not_quoted() -> None:
    register_pack(MARK)
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        Pack.objects.bulk_create([Pack(name=MARK, identity=MARK, last_seen=timezone.now())])
    if connection.vendor == "postgresql":
        assert MARK in str(caught.value)
    assert MARK not in safe_database_message(caught.value) + line(caught.value)
    assert "constraint" in safe_database_message(caught.value)


@pytest.mark.database
@pytest.mark.django_db
def test_a_value_that_fits_no_column_is_not_quoted() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite takes any value")
    refused = [
        broken("SELECT CAST(%s AS integer)", MARK),
        broken("SELECT CAST(%s AS jsonb)", '{"a": "' + MARK),
        broken("INSERT INTO packs_pack (name) VALUES (%s)", MARK),
    ]
    assert [MARK in str(error) for error in refused] == [True] * 3
    assert not any(MARK in safe_database_message(error) + line(error) for error in refused)
    assert isinstance(refused[0], DataError)
    assert safe_database_message(refused[0]) == "SQLSTATE 22P02"
    assert "null value in column" in safe_database_message(refused[2])


@pytest.mark.acceptance
def test_a_server_whose_database_refuses_a_row_tells_nobody_of_it(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "flyte.log"
    server = start_server({"LOGFILE": str(file)})
    refuse_names(server)
    step = {"event": {"packName": "A", "name": "B"}, "command": {"packName": "A", "name": "C"}}
    bodies = {
        "packs": {"name": "Refused", "labels": {"x": MARK}},
        "flows": {"name": "Refused", "description": MARK, "steps": [step]},
    }
    for path, body in bodies.items():
        answer = httpx.post(f"{server.url}/v1/{path}", json=body, timeout=PATIENCE, trust_env=False)
        detail = f"Internal server error. See the server log, request id {answer.headers['X-Request-ID']}."
        assert problem(answer, 500)["detail"] == detail
    log = file.read_text()
    assert log.count("request_failed") == 2
    assert "IntegrityError" in log
    assert MARK not in log + server.logs()
    assert "DETAIL" not in log


def refuse_names(server: Server) -> None:
    """Has the database refuse what is called `Refused`, as a constraint that a defect of ours broke would."""
    for table in ("packs_pack", "flows_flow"):
        if server.database_url.startswith("sqlite"):
            path = re.sub("^sqlite:///", "", server.database_url)
            with sqlite3.connect(path) as opened:
                opened.execute(
                    f"CREATE TRIGGER no_{table} BEFORE INSERT ON {table} WHEN NEW.name = 'Refused' "
                    f"BEGIN SELECT RAISE(ABORT, 'no'); END"
                )
        else:
            with psycopg.connect(server.database_url) as cluster:
                cluster.execute(f"ALTER TABLE {table} ADD CONSTRAINT no_{table} CHECK (name <> 'Refused')")
