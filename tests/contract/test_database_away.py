"""Responses while the database is unavailable: immediate, with Retry-After, instead of hanging.

With PostgreSQL the cluster is stopped while the server runs. A file of SQLite stays readable to processes that have it
open, so its path is removed between two runs of the server.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.conversation import replay
from tests.contract.differences import DATABASE_AWAY, expectations
from tests.contract.recording import read_exchanges
from tests.private_postgres import URL_VARIABLE, private_postgres
from tests.server import Server, migrate, running_server, server_environment, start

pytestmark = pytest.mark.acceptance

EXCHANGES = [exchange for exchange in read_exchanges() if exchange.phase == DATABASE_AWAY]
AN_EVENT = {"event": "Go"}

# Maximum time of a response without the database; the original hung for 60 seconds.
ANSWER_SECONDS = 15.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server whose database becomes unavailable."""
    folder = tmp_path_factory.mktemp("away")
    take_away = without_cluster if os.environ.get(URL_VARIABLE) else without_file
    yield from take_away(folder)


def without_cluster(folder: Path) -> Iterator[Server]:
    """Run a server with a separate PostgreSQL, and stop the database."""
    with private_postgres() as postgres:
        url = postgres.create_database("away")
        migrate(server_environment(url), folder / "migrate.log")
        server = start(folder, url)
        try:
            check_server_works(server)
            postgres.stop()
            yield server
        finally:
            server.stop()


def without_file(folder: Path) -> Iterator[Server]:
    """Run a server whose SQLite file is replaced by a folder: no file can be opened or created there."""
    with running_server(folder) as before:
        check_server_works(before)
        before.stop()
        path = Path(before.database_url.removeprefix("sqlite:///"))
        path.rename(path.with_suffix(".away"))
        path.mkdir()
        after = before.start_again(ready="/v1")
        try:
            yield after
        finally:
            after.stop()


def check_server_works(server: Server) -> None:
    """Check that with its database the server accepts the event."""
    registered = httpx.post(f"{server.url}/v1/packs", json={"name": "Src"})
    accepted = httpx.post(f"{server.url}/v1/packs/Src/events", json=AN_EVENT)
    assert (registered.status_code, accepted.status_code) == (201, 202)


def test_the_recorded_requests_get_the_expected_responses(server: Server) -> None:
    assert len(EXCHANGES) == 3
    differences = replay(server, expectations(EXCHANGES))
    assert not any(differences.values()), differences


@pytest.mark.parametrize("path", ["/v1/packs", "/v1/flows", "/v1/datastore", "/v1/datastore/x", "/v1/audit/flows"])
def test_requests_that_need_the_database_get_503_with_retry_after(server: Server, path: str) -> None:
    answer = httpx.get(server.url + path, timeout=ANSWER_SECONDS)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_an_event_is_not_accepted(server: Server) -> None:
    answer = httpx.post(f"{server.url}/v1/packs/Src/events", json=AN_EVENT, timeout=ANSWER_SECONDS)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
