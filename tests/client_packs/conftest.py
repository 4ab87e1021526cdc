import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from tests.client.program import Program
from tests.client.stub_server import StubServer
from tests.examples.world import SECONDS, ExampleClient
from tests.private_postgres import free_port
from tests.server import Server, running_server

from .http_stub import Counterpart
from .mail_servers import HOST, Certificate, Imap, StartImap, StartSmtp, imap_servers, smtp_servers
from .pack_commands import RunCommand, result, variables

StartPack = Callable[..., Program]
"""A function that runs `python -m flyte_client.packs.NAME` with variables and the server's address."""


@pytest.fixture(scope="session")
def packs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a separate server for these packs, because other tests use the same names."""
    with running_server(tmp_path_factory.mktemp("packs")) as server:
        yield server


@pytest.fixture
def world(packs_server: Server) -> Iterator[ExampleClient]:
    """Provide a client for the server, without data of other tests."""
    with httpx.Client(trust_env=False, timeout=SECONDS) as http:
        client = ExampleClient(http, packs_server.url)
        yield client
        client.clear()


@pytest.fixture
def stub() -> Iterator[StubServer]:
    server = StubServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def start_pack() -> Iterator[StartPack]:
    programs: list[Program] = []

    def start(name: str, api: str, **environment: str) -> Program:
        settings = {"FLYTE_API": api, "FLYTE_POLL_INTERVAL": "0.05"} | environment
        programs.append(Program("-m", f"flyte_client.packs.{name}", environment=settings))
        return programs[-1]

    yield start
    for program in programs:
        with suppress(BrokenPipeError):
            program.kill()


@pytest.fixture
def run_command(stub: StubServer, start_pack: StartPack, tmp_path: Path) -> RunCommand:
    def run(name: str, web: Counterpart, command: str, action_input: Any, event: str) -> Any:
        stub.queue(command, action_input)
        start_pack(name, stub.url, **variables(name, web, tmp_path))
        return result(stub, event)

    return run


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FLYTE_") and name != "FLYTE_DATABASE_URL"]:
        monkeypatch.delenv(name)


@pytest.fixture
def start_smtp() -> Iterator[StartSmtp]:
    with smtp_servers() as start:
        yield start


@pytest.fixture
def start_imap() -> Iterator[StartImap]:
    with imap_servers() as start:
        yield start


@pytest.fixture
def imap(start_imap: StartImap) -> Imap:
    return start_imap(free_port())


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = authority.issue_cert(HOST)
    issued.configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    return Certificate(tmp_path / "ca.pem", tmp_path / "server.pem", context)
