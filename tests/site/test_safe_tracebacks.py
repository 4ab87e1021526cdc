"""Exceptions in the log: their types and locations, but no values."""

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

from flyte_site.core.observability.logging_config import build_logging_config
from flyte_site.core.observability.safe_tracebacks import HIDDEN_MESSAGE, redact_exception, safe_database_message
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
def test_an_exception_is_logged_with_type_and_location_but_without_message(error: Exception) -> None:
    text = line(raised(error))
    assert MARK not in text
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith(f"{type(error).__name__}: {HIDDEN_MESSAGE}")
    assert 'test_safe_tracebacks.py", line ' in text
    assert "in raised" in text


@pytest.mark.unit
def test_errors_of_the_program_keep_their_message() -> None:
    assert line(raised(AttributeError("no attribute 'x'"))).endswith("AttributeError: no attribute 'x'")
    assert line(raised(ConnectionRefusedError(111, "refused"))).endswith("ConnectionRefusedError: [Errno 111] refused")


@pytest.mark.unit
def test_causes_are_logged_first_and_redacted_too() -> None:
    text = line(raised(TypeError("outer"), raised(ValueError(MARK))))
    assert MARK not in text
    link = "\n\nThe above exception was the direct cause of the following exception:\n\n"
    assert text.index("ValueError") < text.index(link) < text.index("TypeError: outer")


@pytest.mark.unit
def test_the_current_exception_is_logged_if_there_is_one() -> None:
    try:
        raise KeyError(MARK)
    except KeyError:
        assert line(True).endswith(f"builtins.KeyError: {HIDDEN_MESSAGE}")
        assert sys.exc_info()[0] is KeyError
    assert line(True) == "None"


@pytest.mark.unit
def test_circular_causes_end() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert line(first).count("builtins.ValueError") == 2


@pytest.mark.unit
def test_only_debug_logs_messages_of_exceptions() -> None:
    def processors(level: str) -> list[Any]:
        chain: list[Any] = build_logging_config(level, "")["formatters"]["line"]["foreign_pre_chain"]
        return chain

    try:
        assert redact_exception not in processors("DEBUG")
        assert all(redact_exception in processors(level) for level in ("INFO", "WARNING", "ERROR"))
    finally:
        build_logging_config(settings.LOGLEVEL, settings.LOGFILE)


def broken(statement: str, *values: str) -> Error:
    """Execute a statement that the database refuses, and return the error."""
    with pytest.raises(Error) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
    return caught.value


@pytest.mark.database
@pytest.mark.django_db
def test_a_duplicate_row_is_not_quoted() -> None:
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
def test_a_server_does_not_reveal_a_row_that_its_database_refuses(start_server: StartServer, tmp_path: Path) -> None:
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
    """Make the database refuse rows with the name `Refused`, as a violated constraint would."""
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
