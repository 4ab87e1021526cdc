"""Polls that wait at a real server, and what gives them something to take."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import httpx

from tests.server import Server

# Generous: only a failing test ever waits this long. More than the longest poll.
PATIENCE = 60.0
# Two processes of eight threads, of which half may be with polls that wait.
PLACES = 8
# As many polls as the fixture `polls` has threads for.
MAX_POLLS = 50

Polls = Callable[..., Future[httpx.Response]]
"""What the fixture `polls` gives: called with a server and a pack, it begins a poll and returns when that waits."""


def call(server: Server, path: str, body: Any = None, method: str = "POST") -> httpx.Response:
    """A call on a connection of its own, so that any of the server's processes may get it."""
    return httpx.request(method, server.url + path, json=body, timeout=PATIENCE, trust_env=False)


def waits(server: Server, pack: str) -> int:
    """How many times a poll of the pack has begun to wait."""
    return sum(f"event=poll_waits pack={pack} " in f"{line} " for line in server.logs().splitlines())


def until(condition: Callable[[], object], server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert result, server.logs()


def world(server: Server, name: str, **labels: str) -> None:
    """Registers a pack, and a flow in which an event of it, `Go`, gives packs of that name an action."""
    register(server, name, **labels)
    register(server, f"{name}Source")
    commands: list[dict[str, Any]] = [{"name": "A"}, {"name": "B"}, {"name": "A", "packLabels": {"env": "dev"}}]
    for number, command in enumerate(commands):
        event = {"packName": f"{name}Source", "name": f"Go{number}"}
        step = {"event": event, "command": {"packName": name, **command}}
        assert call(server, "/v1/flows", {"name": f"{name}{number}", "steps": [step]}).status_code == 201


def register(server: Server, name: str, **labels: str) -> None:
    assert call(server, "/v1/packs", {"name": name, "labels": labels}).status_code == 201


def tell(server: Server, name: str, event: int = 0) -> None:
    """An event that queues an action: 0 of command A, 1 of command B, 2 of A for packs with env=dev."""
    assert call(server, f"/v1/packs/{name}Source/events", {"event": f"Go{event}"}).status_code == 202
