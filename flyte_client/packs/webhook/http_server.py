"""HTTP server of the Webhook pack."""

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from importlib import import_module
from typing import Any

from flyte_client.errors import SettingsError
from flyte_client.packs.common.optional_import import require_extra
from flyte_client.packs.webhook.http_messages import WebhookRequest, WebhookResponse
from flyte_client.packs.webhook.receiver import WebhookReceiver
from flyte_client.packs.webhook.settings import WebhookSettings
from flyte_formats.characters import replace_surrogates

MAX_HEADER_BYTES = 32 * 1024
# Maximum time between two parts of a request, in seconds.
SOCKET_TIMEOUT = 10
# Idle connections of senders and load balancers; they need no thread.
MAX_KEEP_ALIVE_CONNECTIONS = 100

logger = logging.getLogger(__name__)

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def prepare_server(receiver: WebhookReceiver, settings: WebhookSettings) -> Callable[[threading.Event], None]:
    """Bind the port; return a function that serves until the passed event is set.

    Raises `SettingsError` if the server can't listen on the address, or a package is missing.
    """
    for package in ("multipart", *(["cryptography"] if any(hook.sender == "sns" for hook in settings.hooks) else [])):
        with require_extra("webhook"):
            import_module(package)
    server = _build_server_class()(
        (settings.host, settings.port),
        build_wsgi_app(receiver, settings.max_bytes),
        numthreads=settings.threads,
        max=settings.threads,
        accepted_queue_size=settings.backlog,
        accepted_queue_timeout=1,
        request_queue_size=settings.backlog,
        timeout=SOCKET_TIMEOUT,
        shutdown_timeout=int(settings.send_timeout) + SOCKET_TIMEOUT,
        server_name="flyte-webhook",
    )
    server.max_request_header_size = MAX_HEADER_BYTES
    server.max_request_body_size = settings.max_bytes
    server.keep_alive_conn_limit = MAX_KEEP_ALIVE_CONNECTIONS
    try:
        server.prepare()
    except OSError as error:
        address = f"{settings.host}:{settings.port}"
        raise SettingsError(f"FLYTE_WEBHOOK_PORT: can't listen on {address} ({error})") from None

    def serve(stop_event: threading.Event) -> None:
        thread = threading.Thread(target=server.serve, name="webhook")
        thread.start()
        stop_event.wait()
        server.stop()
        thread.join()

    return serve


def _build_server_class() -> Any:
    """Return the class of cheroot's server, with a log line for each request that the server itself refuses."""
    with require_extra("webhook"):
        from cheroot import wsgi
        from cheroot.server import HTTPConnection, HTTPRequest

    class LoggedRequest(HTTPRequest):
        def simple_response(self, status: str, msg: str = "") -> None:
            method, path = (getattr(self, name, b"").decode("latin-1") for name in ("method", "uri"))
            _log_refusal(method, path.partition("?")[0], status[:3], msg, self.conn.remote_addr)
            super().simple_response(status, msg)

    class LoggedConnection(HTTPConnection):
        RequestHandlerClass = LoggedRequest

    class LoggedServer(wsgi.Server):
        ConnectionClass = LoggedConnection

        def process_conn(self, conn: Any) -> None:
            try:
                self.requests.put(conn)
            except queue.Full:
                _log_refusal("", "", "503", "too many requests are waiting", conn.remote_addr)
                self._unservicable_conns.put(conn)  # type: ignore[attr-defined]

    return LoggedServer


def build_wsgi_app(
    receiver: WebhookReceiver, max_bytes: int
) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """Build a WSGI application (PEP 3333) for the receiver."""

    def handle_wsgi(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        response = _handle_request(receiver, environ, max_bytes)
        if response.status >= HTTPStatus.BAD_REQUEST:
            _log_refusal(
                environ["REQUEST_METHOD"],
                environ.get("PATH_INFO", ""),
                response.status,
                response.reason or response.text,
                environ.get("REMOTE_ADDR", ""),
            )
        # A challenge has to be repeated exactly; other texts are lines for people.
        line_end = "" if response.status == HTTPStatus.OK else "\n"
        content = f"{replace_surrogates(response.text)}{line_end}".encode()
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(content)),
            "X-Content-Type-Options": "nosniff",
            **response.headers,
        }
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]

    return handle_wsgi


def _handle_request(receiver: WebhookReceiver, environ: Mapping[str, Any], max_bytes: int) -> WebhookResponse:
    # WSGI decodes bytes as Latin-1, which is safe here because all paths of hooks are ASCII.
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    early_response = receiver.check_route(method, path)
    if early_response:
        return early_response
    body = _read_body(environ, max_bytes)
    if isinstance(body, WebhookResponse):
        return body
    query = environ.get("QUERY_STRING", "")
    return receiver.receive(WebhookRequest(method, path, query, _parse_headers(environ), body))


def _log_refusal(method: str, path: str, status: int | str, reason: str, address: str) -> None:
    # Path and reason can contain anything that the sender wrote.
    logger.warning(
        "request_refused method=%.20s path=%.100r status=%s reason=%.500r address=%s",
        method,
        path,
        status,
        reason,
        address,
    )


def _read_body(environ: Mapping[str, Any], max_bytes: int) -> bytes | WebhookResponse:
    try:
        body: bytes = environ["wsgi.input"].read(max_bytes + 1)
    except TimeoutError:
        raise
    except ValueError:
        return WebhookResponse(400, "invalid chunked encoding", {"Connection": "close"})
    except Exception:  # cheroot's error for a chunked body larger than `max_request_body_size`
        return _too_large_response(max_bytes)
    if len(body) > max_bytes:
        return _too_large_response(max_bytes)
    if len(body) < int(environ.get("CONTENT_LENGTH") or 0):
        return WebhookResponse(400, "request body is shorter than Content-Length", {"Connection": "close"})
    return body


def _too_large_response(max_bytes: int) -> WebhookResponse:
    return WebhookResponse(413, f"request body exceeds the limit of {max_bytes} bytes")


def _parse_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    return headers | {"content-type": environ.get("CONTENT_TYPE", "")}
