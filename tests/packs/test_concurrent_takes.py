"""Concurrent takes of many processes from one queue of a real server."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests import processes
from tests.server import ROOT, Server, StartServer

pytestmark = [pytest.mark.acceptance, pytest.mark.database]

PROCESSES = 8
STEPS = 100
EVENTS = 20
PATIENCE = 120


def fill(server: Server) -> None:
    """Queue 2,000 actions: a flow of a hundred steps, and twenty events."""
    step = {"event": {"packName": "Source", "name": "Go"}, "command": {"packName": "Wrk", "name": "Do"}}
    flow = {"name": "many-steps", "steps": [step] * STEPS}
    with httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False) as client:
        for name in ("Source", "Wrk"):
            assert client.post("/v1/packs", json={"name": name}).status_code == 201
        assert client.post("/v1/flows", json=flow).status_code == 201
        for _ in range(EVENTS):
            assert client.post("/v1/packs/Source/events", json={"event": "Go"}).status_code == 202


@contextmanager
def takers(server: Server) -> Iterator[list["subprocess.Popen[str]"]]:
    """Start the processes, and wait until each is ready."""
    port = server.url.rpartition(":")[2]
    command = [sys.executable, "-m", "tests.packs.taker", port]
    pipe = subprocess.PIPE
    started = [
        processes.start(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(PROCESSES)
    ]
    try:
        for process in started:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_eight_processes_take_each_action_once_without_errors(start_server: StartServer) -> None:
    server = start_server()
    fill(server)
    with takers(server) as started:
        for process in started:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=PATIENCE) for process in started]
    assert [errors for _, errors in outputs] == [""] * PROCESSES
    records = [line.split() for output, _ in outputs for line in output.splitlines()]
    assert [value for kind, value in records if kind == "status"] == ["204"] * PROCESSES
    taken = Counter(value for kind, value in records if kind == "took")
    assert len(taken) == STEPS * EVENTS
    assert set(taken.values()) == {1}
    assert "level=error" not in server.logs()
