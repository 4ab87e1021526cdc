"""Two servers on one PostgreSQL behind a proxy, each of which is killed once while two processes of a pack work.

SQLite is for one machine only; there, `tests/jobs/conftest.py` ignores this file.
"""

import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.jobs.processes import PATIENCE, Running, program, running, wait_for_health, wait_until
from tests.private_postgres import free_port
from tests.proxy import Proxy, proxy
from tests.server import migrated_database, server_environment

pytestmark = [pytest.mark.acceptance, pytest.mark.database]

EVENTS = 120
# The time until an action is taken again if the response of its first take was lost.
LEASE = "20s"
COMMAND = {"packName": "Noting", "name": "Do", "timeout": LEASE, "retries": 5}
FLOW = {
    "name": "two servers",
    "steps": [
        {
            "id": "first",
            "event": {"packName": "Source", "name": "Go"},
            "command": {**COMMAND, "input": "first {{ Event.Payload.n }}"},
        },
        {
            "id": "second",
            "dependsOn": ["first"],
            "event": {"packName": "Noting", "name": "Done"},
            "command": {**COMMAND, "input": "second, after {{ Event.Payload.did }}"},
        },
    ],
}
WORK = [text for n in range(EVENTS) for text in (f"first {n}", f"second, after first {n}")]


class ServerPair:
    """Two servers on one database, which can be started and killed."""

    def __init__(self, stack: ExitStack, folder: Path, database_url: str) -> None:
        self.database_url = database_url
        self.ports = [free_port(), free_port()]
        self.runs: list[Running] = []
        self._stack, self._folder = stack, folder
        variables = {"FLYTE_LEASE_CHECK_SECONDS": "1", "LOGLEVEL": "DEBUG"}
        self._environment = server_environment(database_url, variables)

    def start(self, number: int) -> Running:
        environment = {**self._environment, "FLYTE_PORT": str(self.ports[number])}
        run = self._stack.enter_context(running(self._folder, environment, "run"))
        self.runs.append(run)
        return run

    def wait_for(self, number: int, run: Running) -> None:
        wait_for_health(f"http://127.0.0.1:{self.ports[number]}", run)

    def kill(self, run: Running) -> None:
        """Kill all processes of a server at once, as a failure of its machine does."""
        os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait(PATIENCE)
        wait_until(lambda: run.members() == [], lambda: f"{run.members()} gone")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[ServerPair]:
    with migrated_database(tmp_path) as url, ExitStack() as stack:
        yield ServerPair(stack, tmp_path, url)


def post(url: str, path: str, body: Any, key: str = "") -> None:
    """Send a request until it succeeds, each time on a new connection, so that either server can receive it."""
    headers = {"Idempotency-Key": key} if key else {}

    def answered() -> bool:
        try:
            response = httpx.post(url + path, json=body, headers=headers, timeout=PATIENCE, trust_env=False)
        except httpx.TransportError:
            return False
        assert response.status_code in (201, 202, 503), response.text
        return response.status_code != 503

    wait_until(answered, lambda: path)


@contextmanager
def sending_events(url: str, notes: list[Path]) -> Iterator[None]:
    """Send the events in a thread, only a few ahead of those that are handled, so that there is always work."""

    def tell() -> None:
        for n in range(EVENTS):
            wait_for_work(notes, 2 * (n - 20))
            post(url, "/v1/packs/Source/events", {"event": "Go", "payload": {"n": n}}, key=f"{n}")

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_all_work_is_done_once_if_each_of_two_servers_is_killed(tmp_path: Path, pair: ServerPair) -> None:
    first, second = (pair.start(number) for number in (0, 1))
    for number, run in enumerate((first, second)):
        pair.wait_for(number, run)
    notes = [tmp_path / f"{name}.txt" for name in ("left", "right")]
    with proxy(*pair.ports) as front, packs(tmp_path, front, notes):
        post(front.url, "/v1/packs", {"name": "Source"})
        post(front.url, "/v1/flows", FLOW)
        with sending_events(front.url, notes):
            wait_for_work(notes, EVENTS // 4)
            pair.kill(first)
            wait_for_work(notes, EVENTS)
            pair.wait_for(0, pair.start(0))
            pair.kill(second)
        wait_until(lambda: all_done(front.url), lambda: f"all work done: {len(handled(notes))} of {len(WORK)}")
    assert Counter(handled(notes)) == Counter(WORK)
    assert all(path.read_text() for path in notes)
    assert all(front.passed.values())
    assert_migrated_once(pair)
    assert_one_first_account(pair)
    assert_each_job_done_once_a_tick(pair)


@contextmanager
def packs(folder: Path, front: Proxy, notes: list[Path]) -> Iterator[None]:
    """Run two processes of one pack, each with a file for its notes."""
    environment = server_environment("", {"FLYTE_API": front.url, "FLYTE_POLL_INTERVAL": "1"})
    with ExitStack() as stack:
        for path in notes:
            command = [sys.executable, "-m", "tests.jobs.noting_pack", str(path)]
            stack.enter_context(program(folder, environment, command))
        yield


def handled(notes: list[Path]) -> list[str]:
    return [line for path in notes if path.exists() for line in path.read_text().splitlines()]


def wait_for_work(notes: list[Path], count: int) -> None:
    wait_until(lambda: len(handled(notes)) >= count, lambda: f"{count} handled, not {len(handled(notes))}")


def all_done(url: str) -> bool:
    executions = httpx.get(f"{url}/v1/audit/flows?limit=500", timeout=PATIENCE, trust_env=False).json()["flows"]
    states = [action["state"]["value"] for execution in executions for action in execution["actions"].values()]
    assert len(executions) <= EVENTS
    return len(executions) == EVENTS and states == ["SUCCESS"] * len(WORK)


def assert_migrated_once(pair: ServerPair) -> None:
    migrations = pair.query("SELECT app, name FROM django_migrations")
    assert len(migrations) == len(set(migrations)) > 0
    assert not any("Traceback" in run.log() for run in pair.runs)


def assert_one_first_account(pair: ServerPair) -> None:
    assert pair.query("SELECT username FROM auth_user") == [("admin",)]
    assert [run.log().count("password:") for run in pair.runs[:2]] in ([0, 1], [1, 0])
    assert all("password:" not in run.log() for run in pair.runs[2:])


def assert_each_job_done_once_a_tick(pair: ServerPair) -> None:
    started = Counter(re.findall(r"job_started job=(\w+) tick=(\S+)", "".join(run.log() for run in pair.runs)))
    assert set(started.values()) == {1}
    ticks = Counter(job for job, _ in started)
    rows = pair.query("SELECT name, runs FROM flyte_site_jobrun")
    assert len({name for name, _ in rows}) == len(rows) >= 3
    for name, runs in rows:
        # A server may be killed between a claim and its log line.
        assert ticks[name] <= runs <= ticks[name] + 2, name
