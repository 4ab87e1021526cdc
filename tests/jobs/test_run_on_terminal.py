"""`manage.py run` on a terminal: lines for people, and one box with the addresses and the first account at the end."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests import processes
from tests.jobs.processes import PATIENCE, wait_until
from tests.private_postgres import free_port
from tests.server import ROOT, fresh_database, server_environment

pytestmark = pytest.mark.acceptance

LINE = re.compile(r"\d\d:\d\d:\d\d [←→·] \S.*")


@dataclass
class TerminalRun:
    """A running `manage.py run` whose output is a pseudo terminal."""

    url: str
    process: "subprocess.Popen[bytes]"
    chunks: list[bytes] = field(default_factory=list)

    @property
    def screen(self) -> str:
        return b"".join(self.chunks).decode().replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.screen, lambda: f"{text!r} on the screen:\n{self.screen}")

    def post(self, path: str, document: object) -> int:
        return httpx.post(f"{self.url}{path}", json=document, trust_env=False, timeout=PATIENCE).status_code


@contextmanager
def run_on_terminal(database_url: str, folder: Path, **variables: str) -> Iterator[TerminalRun]:
    port = free_port()
    environment = server_environment(database_url, {"FLYTE_PORT": str(port), "TERM": "xterm"} | variables)
    master, slave = pty.openpty()
    command = [sys.executable, str(ROOT / "manage.py"), "run"]
    process = processes.start(command, cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    run = TerminalRun(f"http://127.0.0.1:{port}", process)
    reader = threading.Thread(target=_read_all, args=(master, run.chunks))
    reader.start()
    try:
        yield run
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        reader.join(PATIENCE)
        os.close(master)


def _read_all(terminal: int, chunks: list[bytes]) -> None:
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # on Linux, after the end of the last process
            return
        if not chunk:
            return
        chunks.append(chunk)


def test_the_start_prints_one_box_and_readable_lines(tmp_path: Path) -> None:
    with fresh_database(tmp_path) as database_url, run_on_terminal(database_url, tmp_path, NO_COLOR="1") as run:
        run.wait_for("╰")
        assert run.screen.startswith("flyte: Setting up the database")
        box = run.screen[run.screen.index("╭") :]
        address = run.url.replace("127.0.0.1", "localhost")
        assert f"Console   {address}/admin/ " in box
        assert f"API       {address}/v1 " in box
        assert "User      admin " in box
        (password,) = re.findall(r"Password  (\S{16}) ", run.screen)
        with httpx.Client(base_url=run.url, trust_env=False, timeout=PATIENCE) as browser:
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get("/admin/login/").text)
            assert token
            form = {"username": "admin", "password": password, "csrfmiddlewaretoken": token[1]}
            answer = browser.post("/admin/login/", data=form, headers={"Origin": run.url})
        assert answer.status_code == 302
        assert run.post("/v1/packs", {"name": "Slack", "events": [{"name": "Said"}]}) == 201
        assert run.post("/v1/packs/Slack/events", {"event": "Said", "payload": 1}) == 202
        run.wait_for("← event  Slack Said – no enabled flow subscribes to this event")
        assert "\x1b" not in run.screen
        lines = [line for line in run.screen.splitlines() if line[0] not in "╭│╰"]
        assert [line for line in lines[1:] if not LINE.fullmatch(line)] == []


def test_lines_are_colored_and_the_password_is_printed_only_at_the_first_start(tmp_path: Path) -> None:
    with fresh_database(tmp_path) as database_url:
        with run_on_terminal(database_url, tmp_path) as run:
            run.wait_for("╰")
            assert "\x1b[2m" in run.screen
        with run_on_terminal(database_url, tmp_path) as run:
            run.wait_for("╰")
            assert "Console   " in run.screen
            assert "Password" not in run.screen
            assert "Setting up" not in run.screen


def test_a_configured_format_is_used_on_a_terminal_too(tmp_path: Path) -> None:
    with (
        fresh_database(tmp_path) as database_url,
        run_on_terminal(database_url, tmp_path, FLYTE_LOG_FORMAT="json") as run,
    ):
        run.wait_for('"event": "serving"')
        assert "╭" not in run.screen
