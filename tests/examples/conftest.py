from collections.abc import Iterator

import httpx
import pytest

from tests.server import Server, running_server

from .world import SECONDS, World


@pytest.fixture(scope="session")
def examples_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A separate server for the examples, because tests elsewhere use the same names of packs."""
    with running_server(tmp_path_factory.mktemp("examples")) as server:
        yield server


@pytest.fixture
def world(request: pytest.FixtureRequest, examples_server: Server) -> Iterator[World]:
    """The server with the module's `DATASTORE` and `FLOW`, without data of other tests."""
    with httpx.Client(trust_env=False, timeout=SECONDS) as http:
        made = World(http, examples_server.url)
        for key, file in getattr(request.module, "DATASTORE", {}).items():
            made.put(key, file)
        if flow := getattr(request.module, "FLOW", ""):
            made.load(flow)
        yield made
        made.clear()
