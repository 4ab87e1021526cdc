"""LOGLEVEL and LOGFILE in all processes of the server."""

import logging
import re
from pathlib import Path

import httpx
import pytest

from flyte_site.core.observability.logging_config import InvalidRequestFilter, build_logging_config
from tests.server import Server, StartServer
from tests.site.processes import manage

pytestmark = pytest.mark.acceptance

LINE = re.compile(r"timestamp=\S+Z level=(\w+) logger=(\S+) event=(.+)")


def register(server: Server, name: str) -> None:
    assert httpx.post(f"{server.url}/v1/packs", json={"name": name}, trust_env=False).status_code == 201


def lines(text: str) -> list[tuple[str, str, str]]:
    """Parse a log into level, logger and rest of each line; fail if another line is in it."""
    matches = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(matches), text
    return [(match[1], match[2], match[3]) for match in matches if match]


def test_master_and_workers_log_to_the_file_and_not_to_the_terminal(tmp_path: Path, start_server: StartServer) -> None:
    file = tmp_path / "flyte.log"
    server = start_server({"LOGFILE": str(file)})
    register(server, "Logged")
    entries = lines(file.read_text())
    assert any(line[:2] == ("info", "packs.api") and "pack_registered pack=Logged" in line[2] for line in entries)
    assert any(logger == "gunicorn.error" and "Listening at" in rest for _, logger, rest in entries)
    assert not any(logger == "gunicorn.access" for _, logger, _ in entries)
    assert "timestamp=" not in server.logs()


def test_a_log_file_that_was_moved_is_created_again(tmp_path: Path, start_server: StartServer) -> None:
    file = tmp_path / "flyte.log"
    server = start_server({"LOGFILE": str(file), "FLYTE_WEB_WORKERS": "1"})
    file.rename(tmp_path / "flyte.log.1")
    register(server, "AfterRotation")
    assert "pack=AfterRotation" in file.read_text()


def test_debug_logs_access_lines_in_the_same_format(start_server: StartServer) -> None:
    server = start_server({"LOGLEVEL": "debug"})
    register(server, "Seen")
    server.stop()
    access = [rest for level, logger, rest in lines(log_part(server)) if logger == "gunicorn.access"]
    assert any("POST /v1/packs" in rest for rest in access)


def test_error_suppresses_lower_levels(start_server: StartServer) -> None:
    server = start_server({"LOGLEVEL": "ERROR"})
    register(server, "Quiet")
    server.stop()
    assert log_part(server) == ""


def log_part(server: Server) -> str:
    """Return the output of the server after its start messages (the first account and the address)."""
    start, separator, rest = server.logs().partition("flyte: serving")
    assert separator, start
    return rest.partition("\n")[2]


def test_commands_log_to_the_file_too_at_the_set_level(tmp_path: Path) -> None:
    file = tmp_path / "flyte.log"
    script = "import structlog; log = structlog.get_logger('a.command'); log.info('silent'); log.warning('said', n=1)"
    environment = {"LOGFILE": str(file), "LOGLEVEL": "Warning"}
    done = manage("shell", "--no-imports", "--command", script, folder=tmp_path, environment=environment)
    assert (done.returncode, done.stdout) == (0, "")
    assert lines(file.read_text()) == [("warning", "a.command", "said n=1")]


@pytest.mark.unit
def test_without_a_file_the_log_goes_to_standard_error() -> None:
    handler = build_logging_config("INFO", "")["handlers"]["out"]
    assert handler["class"] == "logging.StreamHandler"
    assert "stream" not in handler


@pytest.mark.unit
@pytest.mark.parametrize(
    ("message", "logged"),
    [
        ("Invalid HTTP Header: 'Authorization Bearer x'", "Invalid HTTP Header"),
        ('Invalid HTTP Header: "it\'s"', "Invalid HTTP Header"),
        ("Invalid HTTP request line: b'x\n'", "Invalid HTTP request line"),
        ("[SSL: HTTP_REQUEST] http request (_ssl.c:1006)", "[SSL: HTTP_REQUEST] http request (_ssl.c:1006)"),
    ],
)
def test_invalid_http_is_not_quoted(message: str, logged: str) -> None:
    record = logging.makeLogRecord({"msg": f"Invalid request from ip=::1: {message}"})
    assert InvalidRequestFilter().filter(record)
    assert record.getMessage() == f"Invalid request from ip=::1: {logged}"


@pytest.mark.unit
def test_other_lines_are_unchanged() -> None:
    record = logging.makeLogRecord({"msg": "Listening at: '%s'", "args": ("here",)})
    assert InvalidRequestFilter().filter(record)
    assert record.getMessage() == "Listening at: 'here'"
