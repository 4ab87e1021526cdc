"""HTTP for the Webhook pack."""

import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from flyte_client.errors import SettingsError
from flyte_client.packs.common.optional_import import require_extra
from flyte_client.packs.webhook.receiver import WebhookReceiver, WebhookRequest, WebhookResponse
from flyte_client.packs.webhook.settings import WebhookSettings

MAX_HEADER_BYTES = 32 * 1024
# A sender that is slower than this between two pieces of a request is hung up on.
SOCKET_TIMEOUT = 10
# Senders and load balancers that keep their connections; each costs no thread while it is idle.
MAX_KEEP_ALIVE_CONNECTIONS = 100

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def prepare_server(receiver: WebhookReceiver, settings: WebhookSettings) -> Callable[[threading.Event], None]:
    """What serves until the event that it is given is set; the port is bound already.

    Raises `SettingsError` for an address that can't be listened on.
    """
    with require_extra("webhook"):
        from cheroot import wsgi
    server = wsgi.Server(
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
        raise SettingsError(f"FLYTE_WEBHOOK_PORT: {address} can't be listened on ({error})") from None

    def serve(stop_event: threading.Event) -> None:
        thread = threading.Thread(target=server.serve, name="webhook")
        thread.start()
        stop_event.wait()
        server.stop()
        thread.join()

    return serve


def build_wsgi_app(
    receiver: WebhookReceiver, max_bytes: int
) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """The receiver as a WSGI application (PEP 3333)."""

    def handle_wsgi(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        response = _handle_request(receiver, environ, max_bytes)
        content = f"{response.text}\n".encode()
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(content)),
            "X-Content-Type-Options": "nosniff",
            **response.headers,
        }
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", list(headers.items()))
        return [content]

    return handle_wsgi


def _handle_request(receiver: WebhookReceiver, environ: Mapping[str, Any], max_bytes: int) -> WebhookResponse:
    # WSGI gives bytes as if they were Latin-1; only what is plain ASCII can be one of the paths.
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    early_response = receiver.check_route(method, path)
    if early_response:
        return early_response
    body = _read_body(environ, max_bytes)
    if isinstance(body, WebhookResponse):
        return body
    return receiver.receive(
        WebhookRequest(method, path, environ.get("QUERY_STRING", ""), _parse_headers(environ), body)
    )


def _read_body(environ: Mapping[str, Any], max_bytes: int) -> bytes | WebhookResponse:
    try:
        body: bytes = environ["wsgi.input"].read(max_bytes + 1)
    except TimeoutError:
        raise
    except ValueError:
        return WebhookResponse(400, "the body is cut into wrong pieces", {"Connection": "close"})
    except Exception:  # what cheroot raises where the pieces of a body are more than `max_request_body_size`
        return WebhookResponse(413, f"more than {max_bytes} bytes")
    if len(body) > max_bytes:
        return WebhookResponse(413, f"more than {max_bytes} bytes")
    if len(body) < int(environ.get("CONTENT_LENGTH") or 0):
        return WebhookResponse(400, "the body ended too early", {"Connection": "close"})
    return body


def _parse_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    return headers | {"content-type": environ.get("CONTENT_TYPE", "")}
