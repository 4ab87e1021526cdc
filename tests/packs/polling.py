"""Long polls at a real server, and events that queue actions for them."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import httpx

from tests.server import Server

# Generous, because only a failing test waits this long; longer than the longest poll.
PATIENCE = 60.0
# Two processes of eight threads each, of which half may serve waiting polls.
MAX_WAITERS = 8
# The number of threads of the fixture `polls`.
MAX_POLLS = 50

Polls = Callable[..., Future[httpx.Response]]
"""The function of the fixture `polls`: it starts a poll of a pack at a server, and returns when the poll waits."""


def call(server: Server, path: str, body: Any = None, method: str = "POST") -> httpx.Response:
    """Send a request on a new connection, so that any of the server's processes may receive it."""
    return httpx.request(method, server.url + path, json=body, timeout=PATIENCE, trust_env=False)


def count_waits(server: Server, pack: str) -> int:
    """Count how often a poll of the pack has started to wait."""
    return sum(f"event=poll_waits pack={pack} " in f"{line} " for line in server.logs().splitlines())


def wait_until(condition: Callable[[], object], server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert result, server.logs()


def create_queue(server: Server, name: str, **labels: str) -> None:
    """Register a pack and an event source, and save flows that queue an action of the pack for each event."""
    register(server, name, **labels)
    register(server, f"{name}Source")
    commands: list[dict[str, Any]] = [{"name": "A"}, {"name": "B"}, {"name": "A", "packLabels": {"env": "dev"}}]
    for number, command in enumerate(commands):
        event = {"packName": f"{name}Source", "name": f"Go{number}"}
        step = {"event": event, "command": {"packName": name, **command}}
        assert call(server, "/v1/flows", {"name": f"{name}{number}", "steps": [step]}).status_code == 201


def register(server: Server, name: str, **labels: str) -> None:
    assert call(server, "/v1/packs", {"name": name, "labels": labels}).status_code == 201


def post_event(server: Server, name: str, event: int = 0) -> None:
    """Post an event that queues an action: 0 of command A, 1 of command B, 2 of A for packs with env=dev."""
    assert call(server, f"/v1/packs/{name}Source/events", {"event": f"Go{event}"}).status_code == 202
