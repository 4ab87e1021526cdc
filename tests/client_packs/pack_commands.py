"""Commands to a pack with a local stub of its service, and their results."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.client.stub_server import StubServer

from .http_stub import Counterpart

TOKEN = "t0ken"

RunCommand = Callable[[str, Counterpart, str, Any, str], Any]
"""A function that starts a pack with the stub of its service, queues a command with an input, and returns the
payload of the result with this event name."""


def variables(name: str, web: Counterpart, folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a pack."""
    settings = {"URL": web.url, "TOKEN": TOKEN, "FOLDER": str(folder), "POLL_SECONDS": "0.1"}
    return {f"FLYTE_{name.upper()}_{key}": value for key, value in (settings | more).items()}


def result(stub: StubServer, event: str) -> Any:
    """Return the payload of the first result with this name."""
    return stub.wait_for("result", event=event)[0].body["payload"]


def assert_refused(payload: Any, words: str) -> None:
    """Assert that the failure has the error and is permanent."""
    assert payload["error"].startswith(words)
    assert payload["temporary"] is False
