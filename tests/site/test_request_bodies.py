"""Bodies of requests: who may send them, when they are read, and where they are until they are complete."""

from collections import deque
from contextlib import suppress
from io import BytesIO
from selectors import DefaultSelector
from socket import socketpair
from tempfile import SpooledTemporaryFile
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client, RequestFactory

from flyte_site.auth import tokens
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR
from flyte_site.http.input.body import CLOSE_CONNECTION_KEY, MAX_SHORT_BODY_BYTES, receive_body
from flyte_site.http.problems import Problem
from flyte_site.server.connection_worker import ConnectionWorker
from flyte_site.server.connections import (
    MIN_BYTES_PER_SECOND,
    ClientConnection,
    ConnectionLimits,
    Pace,
    ResponseSocket,
    count_short_body_bytes,
)
from tests.site.shape import problem

LARGE = MAX_SHORT_BODY_BYTES + 1
CHUNKED = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
ANNOUNCED = {"CONTENT_LENGTH": str(LARGE)}


class Upload:
    """The body of a client that sends `size` bytes; `read_bytes` of them were read."""

    def __init__(self, size: int) -> None:
        self.size, self.read_bytes, self.is_closed = size, 0, False

    def read(self, size: int = -1) -> bytes:
        part = self.size - self.read_bytes if size < 0 else min(size, self.size - self.read_bytes)
        self.read_bytes += part
        return b" " * part

    def readline(self, size: int = -1) -> bytes:
        return self.read(size)

    def close_connection(self) -> None:
        self.is_closed = True

    def send(self, path: str, framing: dict[str, Any], **headers: str) -> Any:
        environ: dict[str, Any] = {**framing, "wsgi.input": self, CLOSE_CONNECTION_KEY: self.close_connection}
        return Client(enforce_csrf_checks=True).post(path, content_type="application/json", headers=headers, **environ)


framings = pytest.mark.parametrize("framing", [ANNOUNCED, CHUNKED], ids=["announced", "chunked"])


@pytest.mark.integration
@pytest.mark.django_db
@framings
@pytest.mark.parametrize(("scope", "status"), [("", 401), ("audit:read", 403)])
def test_a_body_of_a_caller_without_permission_is_not_read(
    settings: LazySettings, framing: dict[str, Any], scope: str, status: int
) -> None:
    settings.FLYTE_AUTH = "tokens"
    upload, headers = Upload(LARGE), {}
    if scope:
        _, secret = tokens.create_token(COMMAND_LINE_ACTOR, "reader", scopes=[scope])
        headers["authorization"] = f"Bearer {secret}"
    problem(upload.send("/v1/packs", framing, **headers), status)
    assert (upload.read_bytes, upload.is_closed) == (0, True)


@pytest.mark.integration
@pytest.mark.django_db
@framings
@pytest.mark.parametrize("path", ["/admin/login/", "/admin/datastore/add/"])
def test_a_long_form_of_a_client_without_a_sign_in_is_not_read(framing: dict[str, Any], path: str) -> None:
    upload = Upload(LARGE)
    assert upload.send(path, framing).status_code == 403
    assert (upload.read_bytes, upload.is_closed) == (0, True)


@pytest.mark.integration
@pytest.mark.django_db
def test_a_chunked_body_is_read_up_to_the_limit_of_its_path(settings: LazySettings) -> None:
    settings.FLYTE_MAX_BODY_BYTES = 100_000
    upload = Upload(50_000_000)
    detail = problem(upload.send("/v1/packs", CHUNKED), 413)["detail"]
    assert detail == "request body of more than 100000 bytes exceeds the limit of 100000 bytes (FLYTE_MAX_BODY_BYTES)"
    assert upload.read_bytes < 200_000
    assert upload.is_closed


@pytest.mark.integration
@pytest.mark.parametrize(("size", "is_in_file"), [(1000, False), (100_000, True)])
def test_a_long_body_is_received_in_a_file(size: int, is_in_file: bool) -> None:
    request = RequestFactory().post("/", b"x" * size, "text/plain")
    with SpooledTemporaryFile(50_000) as spool:
        assert receive_body(request, spool, 1_000_000)
        assert getattr(spool, "_rolled") is is_in_file  # noqa: B009 - not part of the type
        assert request.body == b"x" * size


@pytest.mark.integration
def test_a_body_that_ends_early_is_an_error() -> None:
    environ = RequestFactory().post("/", b"12345", "text/plain").environ | {"CONTENT_LENGTH": "6"}
    request = WSGIRequest({**environ, "wsgi.input": BytesIO(b"12345")})
    with SpooledTemporaryFile() as spool, pytest.raises(Problem, match="shorter than Content-Length"):
        receive_body(request, spool, 100)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("headers", "size"),
    [
        (b"", 0),
        (b"\r\nContent-Length: 12", 12),
        (b"\r\ncontent-length:\t12 \r\nX: y", 12),
        (b"\r\nContent-Length: %d" % MAX_SHORT_BODY_BYTES, MAX_SHORT_BODY_BYTES),
        (b"\r\nContent-Length: %d" % LARGE, 0),
        (b"\r\nContent-Length: -1", 0),
        (b"\r\nContent-Length: 12\r\nExpect: 100-continue", 0),
        (b"\r\nTransfer-Encoding: chunked", 0),
    ],
)
def test_short_bodies_are_awaited_with_the_head(headers: bytes, size: int) -> None:
    assert count_short_body_bytes(b"POST / HTTP/1.1\r\nHost: localhost" + headers) == size


@pytest.mark.unit
def test_a_client_may_take_longer_the_more_it_sends_or_reads() -> None:
    pace = Pace(seconds=2)
    assert not pace.is_too_slow_after(MIN_BYTES_PER_SECOND * 10, 11)
    assert not pace.is_too_slow_after(1, 1)
    assert pace.is_too_slow_after(1, 1)


@pytest.mark.unit
@pytest.mark.parametrize(("sent", "is_handled"), [(b"GET / HTTP/1.1\r\n\r\n", True), (b"GET / HTTP/1.1\r\n", False)])
def test_a_request_that_arrived_in_time_is_handled_also_if_the_process_was_busy(sent: bytes, is_handled: bool) -> None:
    limits = ConnectionLimits(max_connections_per_address=9, max_head_bytes=999, head_seconds=-1, io_seconds=1)
    config: Any = SimpleNamespace(is_ssl=False)
    worker: Any = ConnectionWorker.__new__(ConnectionWorker)
    handled: list[ClientConnection] = []
    worker.cfg, worker.limits, worker.nr_conns = config, limits, 1
    worker.pending_conns, worker.lingering_conns, worker.enqueue_req = deque(), deque(), handled.append
    server, client = socketpair()
    with server, client, DefaultSelector() as worker.poller:
        connection = ClientConnection(config, server, "", "", limits)
        worker.wait_for_request(connection)
        client.sendall(sent)
        worker.murder_pending()
        assert (handled == [connection], worker.nr_conns) == (is_handled, int(is_handled))


@pytest.mark.unit
def test_a_client_that_does_not_read_the_response_is_disconnected() -> None:
    server, client = socketpair()
    with server, client, suppress(BlockingIOError):
        server.settimeout(0.01)
        with pytest.raises(ConnectionResetError, match="reads too slowly"):
            ResponseSocket(server, 0.01).sendall(b"x" * 10_000_000)
