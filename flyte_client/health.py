"""Health page of a pack, in the same format as the original's clients."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

# Requests are served one at a time, so a slow client must not block the others.
REQUEST_TIMEOUT = 3.0
STOP_POLL_SECONDS = 0.2

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Health:
    """Result of a health check; `status` is any JSON value with details for people."""

    healthy: bool
    status: Any = ""


HealthCheck = Callable[[], Health]


@contextmanager
def serve_health_page(address: tuple[str, int] | None, checks: Mapping[str, HealthCheck]) -> Iterator[None]:
    """Serve the health page at host and port while the block runs; if the port is in use, log it and continue without.

    GET of any path returns `{name: {"healthy", "status"}}`, with 200 if all checks are healthy, else 500.
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
        thread.join(2 * STOP_POLL_SECONDS)  # a hanging check must not block the pack's shutdown
        server.server_close()


def run_checks(checks: Mapping[str, HealthCheck]) -> tuple[bool, dict[str, Any]]:
    """Run the checks; return True if all are healthy, and the document. A check that raises is unhealthy."""
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
            """Log nothing: health pages are requested often."""

    return HealthRequestHandler
