"""Slow, idle and too many clients, and requests that are not valid HTTP: nobody else is kept out."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from tests.server import Server, running_server
from tests.site.processes import PATIENCE

pytestmark = pytest.mark.acceptance

LIMITS = {
    "FLYTE_WEB_WORKERS": "1",
    "FLYTE_WEB_THREADS": "4",
    "FLYTE_WEB_CONNECTIONS": "64",
    "FLYTE_WEB_CONNECTIONS_PER_ADDRESS": "40",
    "FLYTE_HEADER_TIMEOUT_SECONDS": "5",
    "FLYTE_CLIENT_TIMEOUT_SECONDS": "2",
    "FLYTE_MAX_HEADER_BYTES": "8192",
    "FLYTE_TRUSTED_PROXIES": "none",
}
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
ATTACKER, NEIGHBOR = "127.0.0.2", "127.0.0.3"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server with one process, four threads and low limits."""
    with running_server(tmp_path_factory.mktemp("limited"), LIMITS) as started:
        yield started


def connect(server: Server, address: str = "127.0.0.1") -> socket.socket:
    port = int(server.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE, source_address=(address, 0))


@contextmanager
def connections(server: Server, count: int, sent: bytes, address: str) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        opened = [stack.enter_context(connect(server, address)) for _ in range(count)]
        for connection in opened:
            with suppress(OSError):
                connection.sendall(sent)
        yield opened


def read_all(connection: socket.socket) -> bytes:
    data = b""
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65_536):
            data += chunk
    return data


def is_answered(server: Server, address: str = "127.0.0.1") -> bool:
    with connect(server, address) as connection:
        connection.settimeout(4.5)
        connection.sendall(HEALTH)
        with suppress(TimeoutError):
            return connection.recv(65_536).startswith(b"HTTP/1.1 200")
    return False


UNFINISHED = {
    "nothing": b"",
    "a byte": b"G",
    "no end": HEALTH[:-2],
    "empty lines": b"\r\n",
    "a byte of a second request": HEALTH + b"G",
    "a byte of a short body": HEALTH.replace(b"GET /health", b"POST /v1/packs")[:-2] + b"Content-Length: 9\r\n\r\n{",
    "a byte of a long form": HEALTH.replace(b"GET /health", b"POST /admin/login/")[:-2]
    + b"Content-Length: 90000\r\n\r\n",
    "a byte of a body that is not used": HEALTH[:-2] + b"Content-Length: 90000\r\n\r\n{",
}


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_clients_without_a_complete_request_use_no_thread(limited: Server, sent: bytes) -> None:
    with connections(limited, 30, sent, ATTACKER):
        assert is_answered(limited)


def test_a_head_that_does_not_arrive_in_time_is_408(limited: Server) -> None:
    with connect(limited) as connection, connect(limited) as silent:
        connection.sendall(HEALTH[:-2])
        assert problem_of(read_all(connection))["status"] == 408
        assert read_all(silent) == b""


def test_a_head_in_parts_and_several_requests_at_once_are_answered(limited: Server) -> None:
    with connect(limited) as connection:
        for start in range(0, len(HEALTH), 7):
            connection.sendall(HEALTH[start : start + 7])
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(HEALTH + b"\r\n" + HEALTH + HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert read_all(connection).count(b"HTTP/1.1 200") == 3


def test_idle_connections_of_other_addresses_make_room_for_new_ones(limited: Server) -> None:
    with connections(limited, 35, HEALTH, ATTACKER) as first, connections(limited, 35, HEALTH, NEIGHBOR) as second:
        answers = [connection.recv(65_536)[:12] for connection in second]
        assert answers == [b"HTTP/1.1 200"] * 35
        assert is_answered(limited)
        assert first[0].recv(65_536).startswith(b"HTTP/1.1 200")
        assert read_all(first[0]) == b""


def test_an_address_with_too_many_connections_gets_503_and_others_are_served(limited: Server) -> None:
    with connections(limited, 40, HEALTH, ATTACKER) as opened:
        assert all(connection.recv(65_536).startswith(b"HTTP/1.1 200") for connection in opened)
        with connect(limited, ATTACKER) as connection:
            body = problem_of(read_all(connection))
        assert body["status"] == 503
        assert "FLYTE_WEB_CONNECTIONS_PER_ADDRESS" in body["detail"]
        assert is_answered(limited, NEIGHBOR)


@pytest.mark.parametrize(
    ("request_", "status", "detail"),
    [
        (b"GET /health HTTP/1.1\r\n\r\n", 400, "Host is required"),
        (HEALTH[:-2] + b"X: " + b"x" * 9000 + b"\r\n\r\n", 431, "FLYTE_MAX_HEADER_BYTES"),
        (
            HEALTH[:-2] + b"".join(b"X%d: " % n + b"x" * 900 + b"\r\n" for n in range(20)) + b"\r\n",
            431,
            "limit of 8192",
        ),
        (HEALTH[:-2] + b"X: " + b"x" * 100_000, 431, "FLYTE_MAX_HEADER_BYTES"),
        (HEALTH[:-2] + b"X: x\r\n" * 101 + b"\r\n", 431, "100 headers"),
        (HEALTH.replace(b"/health", b"/" + b"x" * 9000), 414, "limit of 8190"),
        (b"GET /health HTTP/1.1\nHost: localhost\n\n", 400, "invalid request"),
        (b"GET  /health HTTP/9.1\r\nHost: localhost\r\n\r\n", 400, "invalid request"),
        (HEALTH[:-2] + b"no header\r\n\r\n", 400, "invalid request"),
        (HEALTH[:-2] + b"Transfer-Encoding: magic\r\n\r\n", 501, ""),
    ],
    ids=str,
)
def test_an_invalid_request_is_a_problem(limited: Server, request_: bytes, status: int, detail: str) -> None:
    with connect(limited) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request_)
        answer = read_all(connection)
    assert b"Content-Type: application/problem+json" in answer
    body = problem_of(answer)
    assert body["status"] == status == int(answer[9:12])
    assert detail in body["detail"]


@pytest.mark.parametrize("framing", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
def test_a_body_that_pauses_or_trickles_is_400_and_frees_its_thread(limited: Server, framing: bytes) -> None:
    head = b"POST /v1/packs HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n"
    part = b'5\r\n{"nam\r\n' if b"chunked" in framing else b'{"nam'
    with connections(limited, 4, head + part, ATTACKER) as opened:
        answer = b""
        for _ in range(40):
            with suppress(OSError):
                opened[0].sendall(part)
            opened[0].settimeout(0.2)
            with suppress(TimeoutError):
                answer = opened[0].recv(65_536)
                break
        assert answer.startswith(b"HTTP/1.1 400")
        assert all(connection.recv(65_536).startswith(b"HTTP/1.1 400") for connection in opened[1:])
        assert is_answered(limited)


def test_clients_that_do_not_close_their_connections_block_nobody(limited: Server) -> None:
    closing = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with connections(limited, 10, closing, ATTACKER) as opened:
        assert all(read_all(connection).startswith(b"HTTP/1.1 200") for connection in opened)
        assert is_answered(limited)


def test_http_1_0_needs_no_host(limited: Server) -> None:
    with connect(limited) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.0 200")


def problem_of(answer: bytes) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return body
