from collections.abc import Iterator

import httpx
import pytest

from tests.server import Server, running_server

from .world import SECONDS, ExampleClient


@pytest.fixture(scope="session")
def examples_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a separate server for the examples, because other tests use the same names of packs."""
    with running_server(tmp_path_factory.mktemp("examples")) as server:
        yield server


@pytest.fixture
def world(request: pytest.FixtureRequest, examples_server: Server) -> Iterator[ExampleClient]:
    """Load the module's `DATASTORE` and `FLOW` into the server, without data of other tests."""
    with httpx.Client(trust_env=False, timeout=SECONDS) as http:
        client = ExampleClient(http, examples_server.url)
        for key, file in getattr(request.module, "DATASTORE", {}).items():
            client.put(key, file)
        if flow := getattr(request.module, "FLOW", ""):
            client.load(flow)
        yield client
        client.clear()
