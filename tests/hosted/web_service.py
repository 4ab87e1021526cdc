"""A web service in a thread, which responds as configured and records its requests."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from django.utils import timezone

from packs.hosted.plugin_api.interfaces import OutputWriter, TaskExecutionContext, TaskExecutionMetadata, TaskReader
from packs.hosted.plugin_calls import PluginDatastore

LOOPBACK = "127.0.0.0/8"


class ReceivedRequest(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebService:
    """A running service. `respond` returns status, headers and body for a method and path."""

    url: str = ""
    requests: list[ReceivedRequest] = field(default_factory=list)
    respond: Callable[[str, str], tuple[int, dict[str, str], bytes]] = lambda method, path: (200, {}, b"")

    def respond_with(self, status: int, value: Any = None, **headers: str) -> None:
        """Send the same response to all requests: JSON, or an empty body."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        body = b"" if value is None else json.dumps(value).encode()
        self.respond = lambda method, path: (status, {"content-type": "application/json", **named}, body)

    def respond_by_path(self, values: dict[str, Any]) -> None:
        """Send these JSON values by path, 404 for other paths."""

        def respond(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
            value = values.get(path)
            return (404, {}, b"") if value is None else (200, {}, json.dumps(value).encode())

        self.respond = respond


@contextmanager
def web_service() -> Iterator[WebService]:
    service = WebService()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.requests.append(ReceivedRequest(self.command, self.path, headers, body))
            status, sent, content = service.respond(self.command, self.path)
            self.send_response(status)
            for name, value in {**sent, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: tests check `requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()


class Secrets:
    """Secrets by name."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def get(self, name: str) -> str:
        return self._values[name]


class Metrics:
    """Metrics that are ignored."""

    def count(self, name: str, by: int = 1) -> None:
        """Ignore the count."""

    def scope(self, name: str) -> "Metrics":
        return self


def context(input: Any, secrets: Secrets | None = None, token: str = "action-1") -> TaskExecutionContext:
    """Build the context of a plugin's call for an action with this input."""
    metadata = TaskExecutionMetadata(token, "action", 1, "correlation", "flow", "step", {}, timezone.now())
    task = TaskReader("Do", "Pack", "Pack", None)
    return TaskExecutionContext(
        secrets or Secrets(), task, input, metadata, OutputWriter(1_000_000), PluginDatastore("a test"), 1_000_000
    )
