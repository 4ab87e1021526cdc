"""A MongoDB that answers the few commands of the import.

It uses the wire protocol: OP_MSG, and OP_QUERY for the handshake.
"""

import socketserver
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import bson

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
HEADER = struct.Struct("<iiii")
HELLO = {
    "ok": 1, "isWritablePrimary": True, "ismaster": True, "maxWireVersion": 21, "minWireVersion": 0,
    "maxBsonObjectSize": 1 << 24, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000,
}  # fmt: skip
Databases = Mapping[str, Mapping[str, list[dict[str, Any]]]]


class Connection(socketserver.StreamRequestHandler):
    """A client's connection."""

    databases: ClassVar[Databases] = {}

    def handle(self) -> None:
        while header := self.rfile.read(HEADER.size):
            length, request_id, _, opcode = HEADER.unpack(header)
            body = self.rfile.read(length - HEADER.size)
            if opcode == OP_QUERY:
                reply = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(HELLO)
                self.send(OP_REPLY, request_id, reply)
            else:
                answer = self.answer(bson.decode(body[5:]))
                self.send(OP_MSG, request_id, struct.pack("<ib", 0, 0) + bson.encode(answer))

    def send(self, opcode: int, request_id: int, body: bytes) -> None:
        self.wfile.write(HEADER.pack(HEADER.size + len(body), 1, request_id, opcode) + body)

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        collections = self.databases.get(command["$db"], {})
        if "listCollections" in command:
            return self.cursor(command, [{"name": name, "type": "collection"} for name in collections])
        if "find" in command:
            return self.cursor(command, collections.get(command["find"], []))
        if "listDatabases" in command:
            return {"ok": 1, "databases": [{"name": name} for name in self.databases]}
        return HELLO

    def cursor(self, command: dict[str, Any], batch: list[dict[str, Any]]) -> dict[str, Any]:
        return {"ok": 1, "cursor": {"id": 0, "ns": f"{command['$db']}.x", "firstBatch": batch}}


@contextmanager
def running_mongodb(databases: Databases) -> Iterator[str]:
    """Serve the databases; yield the server's URI."""
    handler = type("Handler", (Connection,), {"databases": databases})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"mongodb://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
