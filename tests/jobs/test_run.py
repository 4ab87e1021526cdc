"""`manage.py run` without Redis: start, crashes and stop of the server and its jobs."""

import json
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.jobs.processes import PATIENCE, Running, running, wait_for_health, wait_until
from tests.private_postgres import free_port
from tests.server import fresh_database, migrated_database, server_environment
from tests.site.processes import manage

pytestmark = pytest.mark.acceptance


@dataclass
class Run(Running):
    """A running `manage.py run`."""

    port: int = 0
    environment: dict[str, str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def run_on(database_url: str, folder: Path, **variables: str) -> Iterator[Run]:
    port = int(variables.setdefault("FLYTE_PORT", str(free_port())))
    environment = server_environment(database_url, {"FLYTE_LEASE_CHECK_SECONDS": "1", "LOGLEVEL": "DEBUG"} | variables)
    with running(folder, environment, "run") as started:
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
        with socket.create_connection(("127.0.0.1", run.port), timeout=PATIENCE) as opened:
            opened.sendall(head + body[:5])
            wait_until(lambda: has_read_all(opened), lambda: "the request's begin was read")
            run.process.send_signal(signal.SIGTERM)
            run.wait_for("Handling signal: term")
            opened.sendall(body[5:])
            assert opened.recv(65536).startswith(b"HTTP/1.1 201")
        assert run.process.wait(PATIENCE) == 0


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
    settings = {
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
