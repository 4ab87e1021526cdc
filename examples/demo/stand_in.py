"""Shared code of the demos' stubs of external services: programs that serve until they are stopped."""

import json
import signal
import socketserver
import sys
from http.server import BaseHTTPRequestHandler
from types import FrameType
from typing import Any

HOST = "127.0.0.1"


def serve_until_terminated(server: socketserver.TCPServer, address: str) -> None:
    """Print `address` with the server's port for `{port}`, and serve until SIGTERM."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    print(address.format(port=server.server_address[1]), flush=True)
    server.serve_forever()


def send_json(handler: BaseHTTPRequestHandler, value: Any) -> None:
    """Send a 200 response with a JSON value."""
    content = json.dumps(value, ensure_ascii=False).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json; charset=utf-8")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
