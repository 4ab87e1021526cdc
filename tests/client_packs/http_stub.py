"""A local HTTP server with scripted responses, which records its requests."""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.client.stub_server import PATIENCE, StubResponse


@dataclass(frozen=True)
class RecordedRequest:
    """A recorded request; `query` has each name once, `body` is a JSON value, or a form's fields."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


Routes = Callable[[RecordedRequest], StubResponse | None]
"""A function from a request to its response, or None to close the connection without one."""


class Counterpart:
    """A stub of a service; `script` adds responses for single requests before those of `routes`."""

    def __init__(self, routes: Routes) -> None:
        self.requests: list[RecordedRequest] = []
        self._routes = routes
        self._scripted: dict[str, deque[StubResponse | None]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._http.daemon_threads = True
        self.port: int = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def script(self, path: str, *answers: StubResponse | None) -> None:
        with self._changed:
            self._scripted[path].extend(answers)

    def of(self, path: str, method: str = "") -> list[RecordedRequest]:
        with self._changed:
            return [
                request
                for request in self.requests
                if request.path == path and (not method or request.method == method)
            ]

    def wait_for(self, path: str, count: int = 1, method: str = "") -> list[RecordedRequest]:
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._matching(path, method)) >= count, PATIENCE)
            assert came, (
                f"{count} of {method} {path} did not come; there were {[request.path for request in self.requests]}"
            )
            return self._matching(path, method)

    def _matching(self, path: str, method: str) -> list[RecordedRequest]:
        return [
            request for request in self.requests if request.path == path and (not method or request.method == method)
        ]

    def answer(self, request: RecordedRequest) -> StubResponse | None:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            scripted = self._scripted[request.path]
            if scripted:
                return scripted.popleft()
        return self._routes(request)


@contextmanager
def counterpart(routes: Routes) -> Iterator[Counterpart]:
    server = Counterpart(routes)
    try:
        yield server
    finally:
        server.close()


def _handler_of(server: Counterpart) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._respond()

        def do_POST(self) -> None:
            self._respond()

        def do_PUT(self) -> None:
            self._respond()

        def do_DELETE(self) -> None:
            self._respond()

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: the requests are recorded."""

        def _respond(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            answer = server.answer(
                RecordedRequest(self.command, parts.path, query, dict(self.headers.items()), _body(self.headers, raw))
            )
            self.close_connection = True
            if answer is not None:
                self._write(answer)

        def _write(self, answer: StubResponse) -> None:
            raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            content = b"" if answer.body is None else raw
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.send_header("Content-Length", str(len(content)))
            with suppress(BrokenPipeError, ConnectionResetError):
                self.end_headers()
                self.wfile.write(content)

    return Handler


def _body(headers: Any, raw: bytes) -> Any:
    if not raw:
        return None
    if "json" in headers.get("Content-Type", ""):
        return json.loads(raw)
    return {name: values[0] for name, values in parse_qs(raw.decode(), keep_blank_values=True).items()}
