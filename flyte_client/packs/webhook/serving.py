"""HTTP for the Webhook pack."""

import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from flyte_client.errors import SettingsError
from flyte_client.packs.basis.needs import needed
from flyte_client.packs.webhook.receiving import Answer, Receiver, Request
from flyte_client.packs.webhook.settings import Settings

LARGEST_HEADERS = 32 * 1024
# A sender that is slower than this between two pieces of a request is hung up on.
SLOWEST = 10
# Senders and load balancers that keep their connections; each costs no thread while it is idle.
KEPT_OPEN = 100

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def prepared(receiver: Receiver, settings: Settings) -> Callable[[threading.Event], None]:
    """What serves until the event that it is given is set; the port is bound already.

    Raises `SettingsError` for an address that can't be listened on.
    """
    with needed("webhook"):
        from cheroot import wsgi
    server = wsgi.Server(
        (settings.host, settings.port),
        application(receiver, settings.max_bytes),
        numthreads=settings.threads,
        max=settings.threads,
        accepted_queue_size=settings.waiting,
        accepted_queue_timeout=1,
        request_queue_size=settings.waiting,
        timeout=SLOWEST,
        shutdown_timeout=int(settings.send_within) + SLOWEST,
        server_name="flyte-webhook",
    )
    server.max_request_header_size = LARGEST_HEADERS
    server.max_request_body_size = settings.max_bytes
    server.keep_alive_conn_limit = KEPT_OPEN
    try:
        server.prepare()
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise SettingsError(f"FLYTE_WEBHOOK_PORT: {where} can't be listened on ({error})") from None

    def serve(ending: threading.Event) -> None:
        serving = threading.Thread(target=server.serve, name="webhook")
        serving.start()
        ending.wait()
        server.stop()
        serving.join()

    return serve


def application(receiver: Receiver, max_bytes: int) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """The receiver as a WSGI application (PEP 3333)."""

    def answer_request(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        answer = _answer(receiver, environ, max_bytes)
        content = f"{answer.text}\n".encode()
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(content)),
            "X-Content-Type-Options": "nosniff",
            **answer.headers,
        }
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(headers.items()))
        return [content]

    return answer_request


def _answer(receiver: Receiver, environ: Mapping[str, Any], max_bytes: int) -> Answer:
    # WSGI gives bytes as if they were Latin-1; only what is plain ASCII can be one of the paths.
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    refusal = receiver.refusal(method, path)
    if refusal:
        return refusal
    body = _body(environ, max_bytes)
    if isinstance(body, Answer):
        return body
    return receiver.receive(Request(method, path, environ.get("QUERY_STRING", ""), _headers(environ), body))


def _body(environ: Mapping[str, Any], max_bytes: int) -> bytes | Answer:
    try:
        body: bytes = environ["wsgi.input"].read(max_bytes + 1)
    except TimeoutError:
        raise
    except ValueError:
        return Answer(400, "the body is cut into wrong pieces", {"Connection": "close"})
    except Exception:  # what cheroot raises where the pieces of a body are more than `max_request_body_size`
        return Answer(413, f"more than {max_bytes} bytes")
    if len(body) > max_bytes:
        return Answer(413, f"more than {max_bytes} bytes")
    if len(body) < int(environ.get("CONTENT_LENGTH") or 0):
        return Answer(400, "the body ended too early", {"Connection": "close"})
    return body


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    named = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    return named | {"content-type": environ.get("CONTENT_TYPE", "")}
