"""LOGLEVEL and LOGFILE, in every process of the server."""

import logging
import re
from pathlib import Path

import httpx
import pytest

from flyte_site.core.logging_config import InvalidRequestFilter, build_logging_config
from tests.server import Server, StartServer
from tests.site.processes import manage

pytestmark = pytest.mark.acceptance

LINE = re.compile(r"timestamp=\S+Z level=(\w+) logger=(\S+) event=(.+)")


def register(server: Server, name: str) -> None:
    assert httpx.post(f"{server.url}/v1/packs", json={"name": name}, trust_env=False).status_code == 201


def lines(text: str) -> list[tuple[str, str, str]]:
    """Level, logger and the rest of each log line; nothing else may stand in the log."""
    matches = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(matches), text
    return [(match[1], match[2], match[3]) for match in matches if match]


def test_the_log_file_gets_the_lines_of_master_and_workers_and_the_terminal_none(
    tmp_path: Path, start_server: StartServer
) -> None:
    file = tmp_path / "flyte.log"
    server = start_server({"LOGFILE": str(file)})
    register(server, "Logged")
    found = lines(file.read_text())
    assert any(line[:2] == ("info", "packs.api") and "pack_registered pack=Logged" in line[2] for line in found)
    assert any(logger == "gunicorn.error" and "Listening at" in rest for _, logger, rest in found)
    assert not any(logger == "gunicorn.access" for _, logger, _ in found)
    assert "timestamp=" not in server.logs()


def test_a_log_file_that_is_moved_away_is_made_again(tmp_path: Path, start_server: StartServer) -> None:
    file = tmp_path / "flyte.log"
    server = start_server({"LOGFILE": str(file), "FLYTE_WEB_WORKERS": "1"})
    file.rename(tmp_path / "flyte.log.1")
    register(server, "AfterRotation")
    assert "pack=AfterRotation" in file.read_text()


def test_debug_shows_access_lines_in_the_same_form(start_server: StartServer) -> None:
    server = start_server({"LOGLEVEL": "debug"})
    register(server, "Seen")
    server.stop()
    access = [rest for level, logger, rest in lines(log_part(server)) if logger == "gunicorn.access"]
    assert any("POST /v1/packs" in rest for rest in access)


def test_error_silences_what_is_only_information(start_server: StartServer) -> None:
    server = start_server({"LOGLEVEL": "ERROR"})
    register(server, "Quiet")
    server.stop()
    assert log_part(server) == ""


def log_part(server: Server) -> str:
    """What the server wrote, but for what it tells whoever starts it: the first account, and where it serves."""
    told, at, rest = server.logs().partition("flyte: serving")
    assert at, told
    return rest.partition("\n")[2]


def test_commands_log_to_the_file_too_from_the_level_on_that_is_set(tmp_path: Path) -> None:
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
    ("said", "kept"),
    [
        ("Invalid HTTP Header: 'Authorization Bearer x'", "Invalid HTTP Header"),
        ('Invalid HTTP Header: "it\'s"', "Invalid HTTP Header"),
        ("Invalid HTTP request line: b'x\n'", "Invalid HTTP request line"),
        ("[SSL: HTTP_REQUEST] http request (_ssl.c:1006)", "[SSL: HTTP_REQUEST] http request (_ssl.c:1006)"),
    ],
)
def test_what_is_no_http_is_not_quoted(said: str, kept: str) -> None:
    record = logging.makeLogRecord({"msg": f"Invalid request from ip=::1: {said}"})
    assert InvalidRequestFilter().filter(record)
    assert record.getMessage() == f"Invalid request from ip=::1: {kept}"


@pytest.mark.unit
def test_other_lines_stay_as_they_are() -> None:
    record = logging.makeLogRecord({"msg": "Listening at: '%s'", "args": ("here",)})
    assert InvalidRequestFilter().filter(record)
    assert record.getMessage() == "Listening at: 'here'"
