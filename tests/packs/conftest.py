"""Fixtures of the tests of packs."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from tests.packs.polling import MAX_POLLS, Polls, call, count_waits, wait_until
from tests.server import Server


@pytest.fixture
def polls() -> Iterator[Polls]:
    """Return a function that starts a poll in a separate thread, and returns when the poll waits at the server."""
    with ThreadPoolExecutor(MAX_POLLS) as threads:

        def poll(server: Server, pack: str, query: str = "") -> Future[httpx.Response]:
            before = count_waits(server, pack)
            future = threads.submit(call, server, f"/v1/packs/{pack}/actions/take?wait=30{query}")
            wait_until(lambda: future.done() or count_waits(server, pack) > before, server)
            return future

        yield poll
