"""Many requests for one execution that a transaction keeps locked."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from django.db import connection

from flows.engine.execution_locks import STALL_SECONDS, WaitingLines
from flyte_site.db.conflicts import DatabaseBusyError
from tests.server import Server

PATIENCE = 20.0
REPEATS = 40


@contextmanager
def locked_execution(server: Server, execution_id: str) -> Iterator[None]:
    """Keep the execution locked by a transaction that does nothing."""
    with psycopg.connect(server.database_url) as session:
        session.execute("SELECT 1 FROM flows_execution WHERE id = %s FOR UPDATE", [execution_id])
        yield
        session.rollback()


@pytest.mark.database
@pytest.mark.acceptance
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite locks no rows")
def test_a_locked_execution_stops_only_its_own_results(server: Server) -> None:
    step = {"event": {"packName": "LockSrc", "name": "Go"}, "command": {"packName": "LockWrk", "name": "Do"}}
    with httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False) as client:
        for name in ("LockSrc", "LockWrk"):
            assert client.post("/v1/packs", json={"name": name}).status_code == 201
        assert client.post("/v1/flows", json={"name": "locked", "steps": [step]}).status_code == 201
        assert client.post("/v1/packs/LockSrc/events", json={"event": "Go"}).status_code == 202
        action_id = client.post("/v1/packs/LockWrk/actions/take").json()["links"][0]["href"].split("/")[-2]
        execution_id = client.get("/v1/audit/flows?flowName=locked").json()["flows"][0]["correlationId"]

    def repeat(_: int) -> httpx.Response:
        path = f"/v1/packs/LockWrk/actions/{action_id}/result"
        return httpx.post(server.url + path, json={"event": "Done"}, timeout=PATIENCE, trust_env=False)

    with ThreadPoolExecutor(REPEATS) as pool:
        with locked_execution(server, execution_id):
            results = [pool.submit(repeat, number) for number in range(REPEATS)]
            time.sleep(1)
            for _ in range(4):  # both web processes
                event = httpx.post(server.url + "/v1/packs/LockSrc/events", json={"event": "X"}, timeout=3)
                health = httpx.get(server.url + "/health", timeout=3)
                assert (event.status_code, health.status_code) == (202, 200)
            at_once = [result.result() for result in results if result.done()]
        responses = [result.result() for result in results]
    assert {response.status_code for response in responses} == {202, 503}
    assert at_once
    assert {(response.status_code, response.headers["Retry-After"]) for response in at_once} == {(503, "5")}
    assert repeat(0).status_code == 202


def wait_in(lines: WaitingLines, limit: int, patience: float) -> str:
    started = time.monotonic()
    try:
        with lines.enter("x", limit, patience):
            return "turn"
    except DatabaseBusyError:
        return "at once" if time.monotonic() - started < patience else "late"


@pytest.fixture
def no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use no database in a test of pure code."""
    monkeypatch.setattr("flows.engine.execution_locks.release_connection", lambda: None)


@pytest.mark.unit
def test_beyond_the_limit_requests_are_refused_only_while_nothing_moves(no_connection: None) -> None:
    lines, limit = WaitingLines(), 3
    with ThreadPoolExecutor(9) as pool:
        with lines.enter("x", limit, PATIENCE):
            waiting = [pool.submit(wait_in, lines, limit, PATIENCE) for _ in range(8)]
            time.sleep(4 * STALL_SECONDS)
            assert [each.result() for each in waiting if each.done()] == ["at once"] * 5
            assert wait_in(lines, limit, PATIENCE) == "at once"
        assert sorted(each.result() for each in waiting) == ["at once"] * 5 + ["turn"] * 3
        with lines.enter("x", limit, PATIENCE):
            burst = [pool.submit(wait_in, lines, limit, PATIENCE) for _ in range(8)]
        assert {each.result() for each in burst} == {"turn"}
    assert not lines._lines


@pytest.mark.unit
def test_a_request_waits_no_longer_than_its_patience(no_connection: None) -> None:
    lines = WaitingLines()
    with lines.enter("x", 3, PATIENCE), ThreadPoolExecutor(1) as pool:
        assert pool.submit(wait_in, lines, 3, 0.1).result() == "late"
    assert not lines._lines
