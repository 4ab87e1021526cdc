"""A local Slack: the methods of the Web API that the pack calls, and socket mode."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tests.client.stub_server import PATIENCE, StubResponse

from .http_stub import Counterpart, RecordedRequest, counterpart

TOKEN, APP_TOKEN = "xoxb-s3cret", "xapp-s3cret"
ANN = {
    "id": "U1",
    "name": "ann",
    "profile": {"email": "ann@example.com", "title": "Engineer", "first_name": "Ann", "last_name": "Lee"},
}
ANN_PAYLOAD = {
    "id": "U1",
    "name": "ann",
    "email": "ann@example.com",
    "title": "Engineer",
    "firstName": "Ann",
    "lastName": "Lee",
}


class Workspace:
    """A stub of Slack: records the pack's calls and acknowledgements, and sends events over its sockets."""

    def __init__(self) -> None:
        self.web: Counterpart
        self.address = ""
        self.sockets: list[ServerConnection] = []
        self.acknowledged: list[str] = []
        self._changed = threading.Condition()

    @property
    def variables(self) -> dict[str, str]:
        tokens = {"FLYTE_SLACK_TOKEN": TOKEN, "FLYTE_SLACK_APP_TOKEN": APP_TOKEN}
        return tokens | {"FLYTE_SLACK_API_URL": f"{self.web.url}/api"}

    def posted(self, count: int = 1) -> list[Any]:
        return [request.body for request in self.web.wait_for("/api/chat.postMessage", count)]

    def wait_for_sockets(self, count: int = 1) -> None:
        """Wait until this many sockets have been opened in total."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.sockets) >= count, PATIENCE), "the pack did not connect"

    def wait_for_acknowledgement(self, envelope: str) -> None:
        with self._changed:
            came = self._changed.wait_for(lambda: envelope in self.acknowledged, PATIENCE)
        assert came, f"{envelope} was not acknowledged, but {self.acknowledged}"

    def send_event(self, event: Any, event_id: str = "Ev1", envelope: str = "e1", **more: Any) -> None:
        payload = {"type": "event_callback", "event_id": event_id, "event": event}
        self.send({"type": "events_api", "envelope_id": envelope, "payload": payload} | more)

    def send(self, message: Any) -> None:
        self.sockets[-1].send(json.dumps(message))

    def routes(self, request: RecordedRequest) -> StubResponse:
        method = request.path.removeprefix("/api/")
        token = APP_TOKEN if method == "apps.connections.open" else TOKEN
        if request.headers.get("Authorization") != f"Bearer {token}":
            return StubResponse(200, {"ok": False, "error": "invalid_auth"})
        responses: dict[str, dict[str, Any]] = {
            "auth.test": {"user_id": "UBOT", "bot_id": "BBOT"},
            "apps.connections.open": {"url": f"{self.address}/?ticket=t1cket"},
            "chat.postMessage": {"ts": "17.000100", "channel": "C1"},
            "conversations.join": {},
            "users.info": {"user": ANN},
        }
        if method == "users.info" and request.body != {"user": "U1"}:
            return StubResponse(200, {"ok": False, "error": "user_not_found"})
        return StubResponse(200, {"ok": True} | responses[method])

    def serve_socket(self, socket: ServerConnection) -> None:
        socket.send(json.dumps({"type": "hello", "num_connections": 1}))
        with self._changed:
            self.sockets.append(socket)
            self._changed.notify_all()
        try:
            for message in socket:
                with self._changed:
                    self.acknowledged.append(json.loads(message)["envelope_id"])
                    self._changed.notify_all()
        except ConnectionClosed:
            pass


@contextmanager
def running_workspace() -> Iterator[Workspace]:
    workspace = Workspace()
    with counterpart(workspace.routes) as web, serve(workspace.serve_socket, "127.0.0.1", 0) as sockets:
        workspace.web = web
        workspace.address = f"ws://127.0.0.1:{_port(sockets)}"
        threading.Thread(target=sockets.serve_forever, daemon=True).start()
        yield workspace


def _port(sockets: Server) -> int:
    return int(sockets.socket.getsockname()[1])
