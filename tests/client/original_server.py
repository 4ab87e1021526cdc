"""The original server's API for packs, with recorded responses."""

import json
import re
import socket
from collections.abc import Mapping
from functools import cache
from typing import Any

from .program import ROOT
from .stub_server import Call, StubResponse, StubServer

EXCHANGES = ROOT / "tests" / "data" / "contract" / "exchanges.jsonl"
PACK = "exec setup pack {'name': 'Wrk'}"
TAKEN = "result ok (labelled pack may complete unlabelled action)"

FIXED = {("GET", "/"): ("root", "index"), ("GET", "/v1"): ("v1", "v1"), ("GET", "/health"): ("health", "health")}


@cache
def recorded() -> dict[str, dict[str, Any]]:
    exchanges = [json.loads(line) for line in EXCHANGES.read_text().splitlines()]
    return {exchange["name"]: exchange["response"] for exchange in exchanges}


class OriginalServer(StubServer):
    """A stub that knows the pack `Wrk` after its registration, and has `waiting` copies of the recorded action `Do`.

    It ignores headers and parameters, and sends only the recorded ones. It answers a repeated result with 500, like the
    original.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0
        self.lose_answer = False
        self._results: set[str] = set()

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: Any, connection: socket.socket
    ) -> StubResponse:
        path = target.partition("?")[0]
        with self._changed:
            kind, name = self._find_exchange(method, path)
            self.calls.append(Call(kind, path, headers, body, target.partition("?")[2]))
            self._changed.notify_all()
            if kind == "result" and self.lose_answer:
                self.lose_answer = False
                connection.shutdown(socket.SHUT_RDWR)
            return self._recorded_answer(name)

    def _find_exchange(self, method: str, path: str) -> tuple[str, str]:
        """Return the kind of the call, and the recorded exchange for it."""
        fixed = {
            ("GET", "/"): ("root", "index"),
            ("GET", "/v1"): ("v1", "v1"),
            ("GET", "/health"): ("health", "health"),
        }
        if (method, path) in fixed:
            return fixed[method, path]
        if (method, path) == ("POST", "/v1/packs"):
            self.packs.add("Wrk")
            return "packs", PACK
        if re.fullmatch("/v1/packs/Wrk/actions/[0-9a-f]+/result", path):
            is_repeated = path in self._results
            self._results.add(path)
            return "result", "result unknown pack" if not self.packs else "result twice" if is_repeated else TAKEN
        if path == "/v1/packs/Wrk/events":
            return "event", "event criteria true" if self.packs else "event unknown pack"
        if path == "/v1/packs/Wrk/actions/take":
            return "take", self._take_name()
        return "unknown", "unknown deep path"

    def _take_name(self) -> str:
        if not self.packs:
            return "take unknown pack"
        if not self.waiting:
            return "take none"
        self.waiting -= 1
        return "take present"

    def _recorded_answer(self, name: str) -> StubResponse:
        here = f"127.0.0.1:{self.port}"
        answer = recorded()[name]
        text = answer["body"].replace("//H/", f"//{here}/")
        headers = {key: value.replace("//H/", f"//{here}/") for key, value in answer["headers"].items()}
        return StubResponse(answer["status"], json.loads(text) if text.startswith("{") else None, headers)
