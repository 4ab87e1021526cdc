"""A real server over real sockets: escaped names, chunks, sizes, charsets, and graceful shutdown."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from flyte_site.management.commands.serve import GRACE_SECONDS
from tests.jobs.processes import program
from tests.private_postgres import free_port
from tests.server import Server, StartServer, migrated_database, server_environment
from tests.site.processes import PATIENCE

pytestmark = pytest.mark.acceptance

MIB = 1024 * 1024


@contextmanager
def connection(server: Server) -> Iterator[socket.socket]:
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as opened:
        yield opened


def exchange(server: Server, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send raw bytes; return status, headers (names in lower case) and body of the response."""
    with connection(server) as opened:
        with suppress(BrokenPipeError, ConnectionResetError):
            opened.sendall(request)
        return read_answer(opened)


def read_answer(opened: socket.socket) -> tuple[int, dict[str, str], bytes]:
    data = b""
    while chunk := opened.recv(65536):
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return (
        int(status.split()[1]),
        {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)},
        body,
    )


def post(path: str, *headers: str, body: bytes = b"", method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: test.localhost", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chunks(body: bytes, size: int = 100_000) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)


NAMES = [
    "a/b",
    "a/../b",
    "50%",
    "a%2Fb",
    "%252F",
    "ä ö",
    "日本",
    "a b",
    "a?b#c",
    "a+b",
    ".",
    "..",
    "a;b=c",
    "'\"<>\\",
    "~",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_of_any_name_is_found_again_by_its_links(server: Server, name: str) -> None:
    created = httpx.post(f"{server.url}/v1/packs", json={"name": f"live {name}"}, trust_env=False)
    assert created.status_code == 201
    assert created.headers["Location"].isascii()
    for href in (created.headers["Location"], *(link["href"] for link in created.json()["links"])):
        if href.endswith(("/take", "/events", "/v1/packs")):
            continue
        assert get(href).json()["name"] == f"live {name}"
    taken = next(link["href"] for link in created.json()["links"] if link["rel"].endswith("/takeAction"))
    assert httpx.post(taken, trust_env=False).status_code == 204
    assert httpx.delete(created.headers["Location"], trust_env=False).status_code == 204


@pytest.mark.parametrize("name", NAMES)
def test_a_datastore_item_of_any_key_is_found_again(server: Server, name: str) -> None:
    url = f"{server.url}/v1/datastore/{quote(f'live {name}', safe='')}"
    assert httpx.put(url, files={"value": ("v", b"x", "text/plain")}, trust_env=False).status_code == 201
    listed = get(f"{server.url}/v1/datastore").json()["datastore"]
    (item,) = [item for item in listed if item["key"] == f"live {name}"]
    assert get(item["links"][0]["href"]).content == b"x"


def test_the_longest_id_of_the_longest_characters_fits_into_a_path(server: Server) -> None:
    pack = {"name": "😀" * 255, "labels": {"k": "😀" * 254}}
    created = httpx.post(f"{server.url}/v1/packs", json=pack, trust_env=False)
    assert len(created.json()["id"]) == 512
    taken = httpx.post(f"{created.headers['Location']}/actions/take?commandName=Do", trust_env=False)
    assert (get(created.headers["Location"]).json()["id"], taken.status_code) == (created.json()["id"], 204)


def test_an_unescaped_slash_is_not_part_of_a_name(server: Server) -> None:
    httpx.post(f"{server.url}/v1/packs", json={"name": "plain/slash"}, trust_env=False)
    assert get(f"{server.url}/v1/packs/plain%2fslash").status_code == 200
    assert exchange(server, post("/v1/packs/plain/slash", method="GET"))[0] == 404


@pytest.mark.parametrize(
    "target", ["/v1/packs/whole%2Furl%25", "http://flyte.example.org/v1/packs/whole%2Furl%25?x=%2F"]
)
def test_the_target_may_be_an_absolute_url(server: Server, target: str) -> None:
    httpx.post(f"{server.url}/v1/packs", json={"name": "whole/url%"}, trust_env=False)
    status, _, body = exchange(server, post(target, method="GET"))
    assert (status, json.loads(body)["id"]) == (200, "whole/url%")


def test_many_at_once_may_register_one_pack_or_put_one_item(server: Server) -> None:
    def register(number: int) -> int:
        pack = {"name": "at once", "commands": [{"name": f"C{number}"}]}
        return httpx.post(f"{server.url}/v1/packs", json=pack, trust_env=False, timeout=PATIENCE).status_code

    def put(number: int) -> int:
        files = {"value": ("v", str(number).encode() * 1000, "text/plain")}
        url = f"{server.url}/v1/datastore/at-once"
        return httpx.put(url, files=files, trust_env=False, timeout=PATIENCE).status_code

    with ThreadPoolExecutor(8) as pool:
        registered = list(pool.map(register, range(24)))
        stored = list(pool.map(put, range(24)))
    assert set(registered) == {201}
    assert (stored.count(201), stored.count(204)) == (1, 23)
    value = get(f"{server.url}/v1/datastore/at-once").text
    assert value in {str(number) * 1000 for number in range(24)}


@pytest.mark.parametrize("path", ["//v1", "//v1/packs", "/v1//packs", "/v1/packs%2F"])
def test_a_path_is_taken_as_it_is(server: Server, path: str) -> None:
    status, headers, _ = exchange(server, post(path, method="GET"))
    assert (status, headers["content-type"]) == (404, "application/problem+json; charset=utf-8")


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /v1", "SCRIPT_NAME: /x", "PATH_INFO: /health", "X_Flyte_Host: evil"])
def test_no_header_changes_the_path_or_replaces_another_header(server: Server, header: str) -> None:
    status, _, body = exchange(server, post("/v1/packs", header, method="GET"))
    assert (status, json.loads(body)["links"][0]["href"]) == (200, "http://test.localhost/v1/packs")


@pytest.mark.parametrize(
    ("method", "allow"),
    [("TRACE", "GET, HEAD, PATCH, CONNECT, DELETE, POST, PUT"), ("BREW", ""), ("PUT", "GET, HEAD, POST")],
)
def test_methods_that_are_not_allowed_are_405_over_the_wire_too(server: Server, method: str, allow: str) -> None:
    status, headers, body = exchange(server, post("/v1/packs", method=method))
    assert (status, headers.get("allow", ""), json.loads(body)["status"]) == (405, allow, 405)


def test_head_has_the_length_that_get_has(server: Server) -> None:
    for path in ("/v1", "/swagger", "/v1/nowhere"):
        got, head = get(server.url + path), httpx.head(server.url + path, trust_env=False)
        assert head.headers["Content-Length"] == got.headers["Content-Length"] == str(len(got.content))
        assert (head.status_code, head.content) == (got.status_code, b"")


@pytest.mark.parametrize("charset", ["rot13", "undefined", "punycode", "idna", "utf-7", "utf-16", "zlib", "klingon"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=e"])
def test_the_charset_of_a_body_says_nothing_about_the_query(server: Server, charset: str, kind: str) -> None:
    httpx.post(f"{server.url}/v1/packs", json={"name": "charset"}, trust_env=False)
    headers = (f"Content-Type: {kind}; charset={charset}", "Content-Length: 14")
    path = "/v1/packs/charset/actions/take?actionName=%ff%C3%A9"
    assert exchange(server, post(path, *headers, body=b"actionName=%ff"))[0] == 204


@pytest.mark.parametrize("parameter", ["charset*=klingon''x", "charset*=undefined''x", "a*0*=x''%ff"])
def test_an_invalid_content_type_counts_as_missing(server: Server, parameter: str) -> None:
    body = b'{"name": "odd type"}'
    headers = (f"Content-Type: application/json; {parameter}", f"Content-Length: {len(body)}")
    assert exchange(server, post("/v1/packs", *headers, body=body))[0] == 201


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-yaml", b"name: half\nlabels: {a: b}\n"),
        (
            "multipart/form-data; boundary=e",
            b'--e\r\nContent-Disposition: form-data; name="value"; filename="v"\r\n\r\nx',
        ),
    ],
)
@pytest.mark.parametrize("framing", ["Content-Length: 500", "Transfer-Encoding: chunked"])
def test_an_incomplete_body_is_not_accepted(server: Server, kind: str, body: bytes, framing: str) -> None:
    name = f"half of {len(body)} {framing[0]}".replace(" ", "-")
    is_put = kind.startswith("multipart")
    body = body.replace(b"half", name.encode())
    sent = chunks(body)[: -len(b"0\r\n\r\n")] if "chunked" in framing else body
    path = f"/v1/datastore/{name}" if is_put else "/v1/packs"
    answer = b""
    with connection(server) as opened:
        opened.sendall(post(path, framing, f"Content-Type: {kind}", method="PUT" if is_put else "POST", body=sent))
        opened.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            answer = opened.recv(65536)
    assert answer == b"" or answer.split()[1] == b"400"
    assert (
        get(f"{server.url}/v1/{'datastore' if is_put else 'packs'}/{name}{'' if is_put else '.a.b'}").status_code == 404
    )


def test_a_chunked_body_is_accepted(server: Server) -> None:
    body = chunks(json.dumps({"name": "chunked", "labels": {"long": "x" * 200}}).encode(), size=7)
    status, _, answer = exchange(server, post("/v1/packs", "Transfer-Encoding: chunked", body=body))
    assert (status, json.loads(answer)["name"]) == (201, "chunked")


def test_a_chunked_datastore_value_is_stored_completely(server: Server) -> None:
    value = os.urandom(3 * MIB)
    head = b'--8d0c1f6e2b7a\r\nContent-Disposition: form-data; name="value"; filename="v"\r\n\r\n'
    part = head + value + b"\r\n--8d0c1f6e2b7a--\r\n"
    headers = ("Transfer-Encoding: chunked", "Content-Type: multipart/form-data; boundary=8d0c1f6e2b7a")
    assert exchange(server, post("/v1/datastore/chunked", *headers, method="PUT", body=chunks(part)))[0] == 201
    assert get(f"{server.url}/v1/datastore/chunked").content == value


LARGE = b'{"name":"' + b"x" * MIB + b'"}'


@pytest.mark.parametrize(
    "request_bytes",
    [
        post("/v1/packs", f"Content-Length: {len(LARGE)}", body=LARGE),
        post("/v1/packs", "Transfer-Encoding: chunked", body=chunks(LARGE)),
        post("/v1/packs/x/events", "Transfer-Encoding: chunked", body=chunks(b"[" * (18 * MIB))),
        post("/v1/flows", f"Content-Length: {20 * MIB}", body=b"x" * (20 * MIB)),
        post("/v1/datastore/x", f"Content-Length: {17 * MIB}", body=b"x" * (17 * MIB), method="PUT"),
        post("/v1/datastore/x", "Transfer-Encoding: chunked", body=chunks(b"x" * (17 * MIB)), method="PUT"),
    ],
    ids=["length", "chunks", "many chunks", "very long", "datastore", "datastore in chunks"],
)
def test_a_body_that_is_too_large_is_413(server: Server, request_bytes: bytes) -> None:
    status, headers, body = exchange(server, request_bytes)
    assert (status, headers["content-type"]) == (413, "application/problem+json; charset=utf-8")
    assert json.loads(body)["status"] == 413


def test_a_body_of_exactly_the_limit_is_accepted(start_server: StartServer) -> None:
    server = start_server({"FLYTE_MAX_BODY_BYTES": "2048", "FLYTE_WEB_WORKERS": "1"})
    body = json.dumps({"name": "limit", "commands": []}).encode()
    for size, status in ((2048, 201), (2049, 413)):
        padded = body + b" " * (size - len(body))
        assert exchange(server, post("/v1/packs", f"Content-Length: {size}", body=padded))[0] == status
        assert exchange(server, post("/v1/packs", "Transfer-Encoding: chunked", body=chunks(padded)))[0] == status


def terminate(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)


def interrupt_all(server: Server) -> None:
    """Send SIGINT to every process of the group, as a terminal does at Ctrl-C."""
    os.killpg(server.process.pid, signal.SIGINT)


@pytest.mark.parametrize("stop", [terminate, interrupt_all])
def test_a_stop_finishes_current_requests_and_accepts_no_new_ones(
    start_server: StartServer, stop: Callable[[Server], None]
) -> None:
    server = start_server()
    body = json.dumps({"name": "slow"}).encode()
    with connection(server) as slow:
        slow.sendall(post("/v1/packs", f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert slow.recv(100).startswith(b"HTTP/1.1 100")  # a worker has begun to handle the request
        slow.sendall(body[:5])
        stop(server)
        wait_until_closed(server)
        assert server.process.poll() is None
        slow.sendall(body[5:])
        status, _, answer = read_answer(slow)
    assert (status, json.loads(answer)["id"]) == (201, "slow")
    assert server.process.wait(PATIENCE) == 0


SLOW_START = """
import time
import django
from django.core.management import execute_from_command_line

django.setup()
from flyte_site.management.commands.serve import FlyteWorker

init_process = FlyteWorker.init_process
FlyteWorker.init_process = lambda worker: (time.sleep(1), init_process(worker))
execute_from_command_line(["manage.py", "serve"])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_a_worker_starts_is_not_lost(tmp_path: Path, number: signal.Signals) -> None:
    settings = {"FLYTE_PORT": str(free_port()), "FLYTE_WEB_WORKERS": "1"}
    with migrated_database(tmp_path) as url:
        environment = server_environment(url, settings) | {"DJANGO_SETTINGS_MODULE": "flyte_site.settings"}
        with program(tmp_path, environment, [sys.executable, "-c", SLOW_START]) as server:
            server.wait_for("Booting worker")
            os.killpg(server.process.pid, number)
            assert server.process.wait(GRACE_SECONDS / 2) == 0


def test_workers_of_a_killed_master_finish_current_requests_and_release_the_port(start_server: StartServer) -> None:
    server = start_server()
    body = json.dumps({"name": "slow"}).encode()
    with connection(server) as slow:
        slow.sendall(post("/v1/packs", f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert slow.recv(100).startswith(b"HTTP/1.1 100")  # a worker has begun to handle the request
        server.process.kill()
        wait_until_closed(server)
        slow.sendall(body)
        status, _, answer = read_answer(slow)
    assert (status, json.loads(answer)["id"]) == (201, "slow")


def wait_until_closed(server: Server) -> None:
    deadline = time.monotonic() + GRACE_SECONDS / 2
    while time.monotonic() < deadline:
        try:
            with connection(server):
                pass
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass  # the connection arrived while the listener was being closed
        time.sleep(0.02)
    pytest.fail("the listener is still open")
