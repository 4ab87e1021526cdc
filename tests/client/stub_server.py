"""A stub of the server: the original's recorded responses, at addresses that are only found by links."""

import json
import re
import select
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Generous: only a failing test ever waits this long.
PATIENCE = 60.0


@dataclass(frozen=True)
class StubResponse:
    """A response of a stub."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A received request: its part of the API, its headers and its JSON body."""

    kind: str
    path: str
    headers: Mapping[str, str]
    body: Any
    query: str = ""


class StubServer:
    """Stub that registers packs, hands out queued actions and records calls; `script` adds responses for single calls.

    With `long_poll` it supports long polls, which end with an action, or when the caller closes the connection. With
    `ignores_disconnects` it does not notice the latter, like some proxies. `last_command` is queued at a disconnect.
    With `lease` its actions have a lease of this many seconds, except the `cancelled` ones.
    """

    def __init__(self) -> None:
        self.port = 0
        self.long_poll = 0
        self.lease = ""
        self.cancelled: set[str] = set()
        self.ignores_disconnects = False
        self.last_command = ""
        self.disconnects = 0
        self.calls: list[Call] = []
        self.packs: set[str] = set()
        self._actions: deque[dict[str, Any]] = deque()
        self._scripted: dict[str, deque[StubResponse]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._http: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before after a stop."""
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), _handler_of(self))
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        if self._http:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def queue(self, command: str, action_input: Any = None, action: str = "a1") -> None:
        with self._changed:
            self._actions.append({"command": command, "input": action_input, "id": action})

    def script(self, kind: str, *answers: StubResponse) -> None:
        """Answer the next calls of `kind` (root, v1, health, packs, take …) with `answers`, one per call."""
        with self._changed:
            self._scripted[kind].extend(answers)

    def unscript(self, kind: str) -> None:
        """Use the stub's default responses again."""
        with self._changed:
            self._scripted[kind].clear()

    def forget_packs(self) -> None:
        with self._changed:
            self.packs.clear()

    def of(self, kind: str) -> list[Call]:
        with self._changed:
            return [call for call in self.calls if call.kind == kind]

    def wait_for(self, kind: str, count: int = 1, **body: Any) -> list[Call]:
        """Wait for `count` calls of `kind` whose body contains `body`, and return them; fail on a timeout."""

        def matching() -> list[Call]:
            return [call for call in self.calls if call.kind == kind and _has(call.body, body)]

        with self._changed:
            came = self._changed.wait_for(lambda: len(matching()) >= count, PATIENCE)
            seen = [(call.kind, call.body) for call in self.calls[-20:]]
            assert came, f"{count} calls of {kind} with {body} did not come; the last were {seen}"
            return matching()

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: Any, connection: socket.socket
    ) -> StubResponse:
        path, _, query = target.partition("?")
        kind, route = _route(method, path)
        with self._changed:
            self.calls.append(Call(kind, path, headers, body, query))
            self._changed.notify_all()
            scripted = self._scripted[kind]
            if scripted:
                return scripted.popleft()
            if kind == "take" and "wait=" in query:
                self._wait_for_action(connection)
            return self._offering(route(self, path, body))

    def _wait_for_action(self, connection: socket.socket) -> None:
        while not self._actions:
            if not self.ignores_disconnects and _has_hung_up(connection):
                self.disconnects += 1
                if self.last_command:
                    self._actions.append({"command": self.last_command, "input": None, "id": "last"})
                return
            if self._http is None or connection.fileno() == -1:
                return
            self._changed.wait(0.01)

    def _offering(self, answer: StubResponse) -> StubResponse:
        offer = {"Flyte-Long-Poll": str(self.long_poll)} if self.long_poll else {}
        return StubResponse(answer.status, answer.body, {**offer, **answer.headers})

    def link(self, path: str, rel: str) -> dict[str, str]:
        return {"href": f"{self.url}{path}", "rel": f"{self.url}/swagger#{rel}"}

    def _root(self, _path: str, _body: Any) -> StubResponse:
        links = [{"href": self.url, "rel": "self"}, self.link("/current", "!/info/v1")]
        return StubResponse(200, {"links": links})

    def _version(self, _path: str, _body: Any) -> StubResponse:
        links = [self.link("/well", "!/info/health"), self.link("/registry", "!/pack/listPacks")]
        return StubResponse(200, {"links": [{"href": f"{self.url}/current", "rel": "self"}, *links]})

    def _health(self, _path: str, _body: Any) -> StubResponse:
        return StubResponse(200, {})

    def _register(self, _path: str, body: Any) -> StubResponse:
        labels = [f".{key}.{value}" for key, value in sorted((body.get("labels") or {}).items())]
        pack_id = body["name"] + "".join(labels)
        self.packs.add(pack_id)
        pack_links = [
            {"href": f"{self.url}/p/{pack_id}", "rel": "self"},
            self.link(f"/p/{pack_id}/work", "!/action/takeAction"),
            self.link(f"/p/{pack_id}/news", "/event"),
        ]
        return StubResponse(201, {**body, "id": pack_id, "links": body.get("links", []) + pack_links, "status": "live"})

    def _take(self, path: str, _body: Any) -> StubResponse:
        pack_id = path.split("/")[2]
        if pack_id not in self.packs:
            return StubResponse(404)
        if not self._actions:
            return StubResponse(204)
        action = self._actions.popleft()
        action_path = f"/p/{pack_id}/work/{action.pop('id')}"
        pulse = f'<{self.url}/else>; rel=other, <{action_path}/pulse?attempt=1>; rel="heartbeat"'
        headers = {"Link": pulse, "Flyte-Lease": self.lease, "X-Request-ID": "of-the-event"} if self.lease else {}
        return StubResponse(200, {**action, "links": [self.link(f"{action_path}/done", "/actionResult")]}, headers)

    def _event(self, path: str, _body: Any) -> StubResponse:
        return StubResponse(202 if path.split("/")[2] in self.packs else 404)

    def _result(self, _path: str, _body: Any) -> StubResponse:
        return StubResponse(202)

    def _heartbeat(self, path: str, _body: Any) -> StubResponse:
        return StubResponse(409 if path.split("/")[4] in self.cancelled else 204)

    def _unknown(self, path: str, _body: Any) -> StubResponse:
        return StubResponse(404, {"title": "Not Found", "detail": f"nothing at {path}", "status": 404})


Route = Callable[[StubServer, str, Any], StubResponse]

ROUTES: list[tuple[str, str, str, Route]] = [
    ("GET", r"/", "root", StubServer._root),
    ("GET", r"/current", "v1", StubServer._version),
    ("GET", r"/well", "health", StubServer._health),
    ("POST", r"/registry", "packs", StubServer._register),
    ("POST", r"/p/[^/]+/work", "take", StubServer._take),
    ("POST", r"/p/[^/]+/news", "event", StubServer._event),
    ("POST", r"/p/[^/]+/work/[^/]+/done", "result", StubServer._result),
    ("POST", r"/p/[^/]+/work/[^/]+/pulse", "heartbeat", StubServer._heartbeat),
]


def _route(method: str, path: str) -> tuple[str, Route]:
    for known_method, pattern, kind, route in ROUTES:
        if method == known_method and re.fullmatch(pattern, path):
            return kind, route
    return "unknown", StubServer._unknown


def _has(body: Any, expected: Mapping[str, Any]) -> bool:
    return all(isinstance(body, dict) and key in body and body[key] == value for key, value in expected.items())


def _has_hung_up(connection: socket.socket) -> bool:
    try:
        # A socket with a timeout waits for it regardless of the flags.
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True


def _handler_of(stub: StubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._respond()

        def do_POST(self) -> None:
            self._respond()

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: the calls are recorded."""

        def _respond(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw) if raw else None
            answer = stub.answer(self.command, self.path, dict(self.headers.items()), body, self.connection)
            content = b"" if answer.body is None else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            # Like the server's workers: closed after the response, so a stopped stub is unreachable at once.
            self.send_header("Connection", "close")
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(content)))
            with suppress(BrokenPipeError, ConnectionResetError):
                self.end_headers()
                self.wfile.write(content)

    return Handler
