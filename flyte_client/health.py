"""A page that tells whether the pack is well, for whoever looks after it: the same as the original's clients give."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

# One caller at a time: whoever does not say what he wants is not waited for longer.
REQUEST_TIMEOUT = 3.0
STOP_POLL_SECONDS = 0.2

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Health:
    """What a check found; `status` is any JSON value that tells people more."""

    healthy: bool
    status: Any = ""


HealthCheck = Callable[[], Health]


@contextmanager
def serve_health_page(address: tuple[str, int] | None, checks: Mapping[str, HealthCheck]) -> Iterator[None]:
    """Answer at host and port for as long as the block runs; where they are taken, log that and do without.

    GET of any path gives `{name: {"healthy", "status"}}`, with 200 if all are healthy, else 500.
    """
    server = _open_server(*address, checks) if address else None
    if server is None:
        yield
        return
    stopped = threading.Event()
    thread = threading.Thread(target=_serve_until, args=(server, stopped), name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(2 * STOP_POLL_SECONDS)  # a check that hangs must not keep the pack from ending
        server.server_close()


def run_checks(checks: Mapping[str, HealthCheck]) -> tuple[bool, dict[str, Any]]:
    """Whether all are healthy, and what they say. One that fails is not."""
    results = {name: _run_check(name, check) for name, check in checks.items()}
    document = {name: {"healthy": health.healthy, "status": health.status} for name, health in results.items()}
    return all(health.healthy for health in results.values()), document


def _run_check(name: str, check: HealthCheck) -> Health:
    try:
        health = check()
        json.dumps(health.status, allow_nan=False)
    except Exception as error:
        logger.exception("health_check_failed check=%s", name)
        return Health(False, f"{type(error).__name__}: {error}")
    return health


def _open_server(host: str, port: int, checks: Mapping[str, HealthCheck]) -> HTTPServer | None:
    class HealthServer(HTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        timeout = STOP_POLL_SECONDS

        def handle_error(self, request: Any, client_address: Any) -> None:
            logger.debug("health_caller_lost address=%s", client_address)

    try:
        server = HealthServer((host, port), _build_handler(checks))
    except OSError as error:
        logger.warning("health_page_missing address=%s:%s reason=%r", host, port, str(error))
        return None
    logger.info("health_page_ready address=%s:%s", host, port)
    return server


def _serve_until(server: HTTPServer, stopped: threading.Event) -> None:
    while not stopped.is_set():
        server.handle_request()


def _build_handler(checks: Mapping[str, HealthCheck]) -> type[BaseHTTPRequestHandler]:
    class HealthRequestHandler(BaseHTTPRequestHandler):
        timeout = REQUEST_TIMEOUT

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            healthy, document = run_checks(checks)
            content = json.dumps(document).encode()
            self.send_response(200 if healthy else 500)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Not a line for each look."""

    return HealthRequestHandler
