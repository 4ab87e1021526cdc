"""`manage.py run` without Redis: start, crashes and stop of the server and its jobs."""

import json
import os
import re
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.jobs.processes import PATIENCE, Running, program, running, wait_for_health, wait_until
from tests.private_postgres import free_port
from tests.server import fresh_database, migrated_database, server_environment
from tests.site.processes import manage

pytestmark = pytest.mark.acceptance

PASS_SOCKET = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass
class Run(Running):
    """A running `manage.py run`."""

    port: int = 0
    environment: dict[str, str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def run_on(
    database_url: str, folder: Path, *, listening: socket.socket | None = None, **variables: str
) -> Iterator[Run]:
    """Run the server; with a socket, as systemd does that has passed it."""
    port = listening.getsockname()[1] if listening else int(variables.get("FLYTE_PORT", free_port()))
    variables = {"FLYTE_LEASE_CHECK_SECONDS": "1", "LOGLEVEL": "DEBUG", **variables, "FLYTE_PORT": str(port)}
    environment = server_environment(database_url, variables)
    command = [sys.executable, "manage.py", "run"]
    if listening:
        command = [sys.executable, "-c", PASS_SOCKET, str(listening.fileno()), *command]
    with program(folder, environment, command, pass_fds=(listening.fileno(),) if listening else ()) as started:
        yield Run(started.process, started.log_path, port, environment)


def test_the_server_and_the_jobs_run_and_a_killed_process_is_restarted(tmp_path: Path) -> None:
    with fresh_database(tmp_path) as url, run_on(url, tmp_path) as run:
        wait_for_health(run.url, run)
        run.wait_for("job_done job=end_leases")
        killed = run.child("jobs")
        os.kill(killed, signal.SIGKILL)
        before = len(run.said("job_done job=end_leases"))
        run.wait_for("process_started process=jobs", times=2)
        run.wait_for("job_done job=end_leases", times=before + 2)
        assert httpx.get(f"{run.url}/health", trust_env=False).status_code == 200
        os.killpg(run.process.pid, signal.SIGINT)  # to every process of the group, as a terminal does at Ctrl-C
        assert run.process.wait(PATIENCE) == 0
        wait_until(lambda: run.members() == [], lambda: f"{run.members()} gone")


def test_current_requests_are_finished_before_a_stop(tmp_path: Path) -> None:
    body = json.dumps({"name": "Slow"}).encode()
    lines = ["POST /v1/packs HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}", "", ""]
    head = "\r\n".join(lines).encode()
    with migrated_database(tmp_path) as url, run_on(url, tmp_path) as run:
        wait_for_health(run.url, run)
        with connect(run.port) as opened:
            opened.sendall(head + body[:5])
            wait_until(lambda: has_read_all(opened), lambda: "the request's begin was read")
            run.process.send_signal(signal.SIGTERM)
            run.wait_for("Handling signal: term")
            opened.sendall(body[5:])
            assert opened.recv(65536).startswith(b"HTTP/1.1 201")
        assert run.process.wait(PATIENCE) == 0


def test_connections_wait_in_a_socket_of_systemd_until_the_server_has_started(tmp_path: Path) -> None:
    """Connect before the start, and after the stop: neither connection is refused."""
    request = b"GET /v1/packs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with migrated_database(tmp_path) as url, socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with connect(port) as early:
            early.sendall(request)
            with run_on(url, tmp_path, listening=listening) as run:
                assert early.recv(65536).startswith(b"HTTP/1.1 200")
                assert run.stop() == 0
        connect(port).close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def test_the_start_waits_for_the_database(tmp_path: Path) -> None:
    """Start without a database. If `run` ended with the code of invalid settings, systemd would not start it again."""
    with run_on(f"postgresql://nobody@127.0.0.1:{free_port()}/away", tmp_path) as run:
        run.wait_for("event=database_away")
        assert run.stop() == -signal.SIGTERM


def has_read_all(opened: socket.socket) -> bool:
    """Return True if the receive queue of the server is empty."""
    port = f":{opened.getsockname()[1]:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(fields[2].endswith(port) and fields[4].endswith(":00000000") for fields in lines)


def test_a_port_in_use_is_reported_and_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, migrated_database(tmp_path) as url:
        port = taken.getsockname()[1]
        with run_on(url, tmp_path, FLYTE_PORT=str(port)) as run:
            assert run.process.wait(PATIENCE) not in (0, None)
            assert "in use" in run.log()
            assert run.members() == []


def test_two_concurrent_starts_migrate_once_and_share_the_jobs(tmp_path: Path) -> None:
    with fresh_database(tmp_path) as url, run_on(url, tmp_path) as first, run_on(url, tmp_path) as second:
        for run in (first, second):
            wait_for_health(run.url, run)
        wait_until(lambda: len(ticks(first, second)) >= 4, lambda: f"four ticks in:\n{first.log()}\n{second.log()}")
        for run in (first, second):
            assert run.stop() == 0
            assert "Traceback" not in run.log()
        assert set(ticks(first, second).values()) == {1}


def test_the_jobs_start_without_the_database(tmp_path: Path) -> None:
    """Start the jobs without a database. If they ended, the supervisor would stop the whole server."""
    environment = server_environment(f"postgresql://nobody@127.0.0.1:{free_port()}/away")
    with running(tmp_path, environment, "jobs") as jobs:
        jobs.wait_for("event=jobs_not_noted")
        jobs.wait_for("event=job_store_away job=end_leases")
        assert jobs.stop() == 0


def ticks(*runs: Run) -> Counter[str]:
    """Count the starts of each tick of each job."""
    return Counter(re.findall(r"job_started (job=\w+ tick=\S+)", "".join(run.log() for run in runs)))


def test_the_processes_use_the_configured_time_zone(tmp_path: Path) -> None:
    """Run a daily job whose hour in Tokyo was a minute ago, and whose last run was yesterday."""
    hour = datetime.now(UTC) + timedelta(hours=9, minutes=-1)
    settings: dict[str, Any] = {
        "TZ": "Asia/Tokyo",
        "FLYTE_SHOULD_DELETE_DEAD_PACKS": "true",
        "FLYTE_DELETE_DEAD_PACKS_AT_HH_COLON_MM": f"{hour:%H:%M}",
        "FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS": "1",
    }
    with migrated_database(tmp_path) as url:
        environment = server_environment(url, settings)
        last_tick = f"{hour - timedelta(days=1):%Y-%m-%d}T00:00Z"
        seed = f"from flyte_site.models import *; JobRun.objects.create(name='delete_dead_packs', tick='{last_tick}')"
        assert manage("shell", "-c", seed, folder=tmp_path, environment=environment).returncode == 0
        with run_on(url, tmp_path, **settings) as run:
            run.wait_for("job_done job=delete_dead_packs")
            listed = manage("jobs", "--list", folder=tmp_path, environment=environment).stdout
        assert f"delete_dead_packs: daily at {hour:%H:%M} (Asia/Tokyo)" in listed
        assert "runs: 1" in next(line for line in listed.splitlines() if line.startswith("delete_dead_packs"))
