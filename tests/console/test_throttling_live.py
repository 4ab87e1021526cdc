"""However many web processes there are, wrong passwords are counted together, in either database."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.server import Server, StartServer
from tests.site.processes import PATIENCE

pytestmark = pytest.mark.acceptance

FAILURES = 5
TRIES = 24
# Two servers of two processes, each of which may be at work on so many tries when the last allowed one fails.
AT_ONCE = 2 * 2 * 2


def signed_on(server: Server, name: str, password: str, agent: str = "a") -> int:
    """The status of a try in a browser of its own; 302 lets somebody in, 429 lets them try no more."""
    with httpx.Client(
        base_url=server.url, headers={"User-Agent": agent, "Origin": server.url}, timeout=PATIENCE, trust_env=False
    ) as browser:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get("/admin/login/").text)
        assert token
        form = {"username": name, "password": password, "csrfmiddlewaretoken": token[1]}
        return browser.post("/admin/login/", data=form).status_code


def first_password(server: Server) -> str:
    told = re.search(r"password:\s+(\S+)", server.logs())
    assert told, server.logs()
    return told[1]


@pytest.fixture
def servers(start_server: StartServer) -> Sequence[Server]:
    """Two servers on one database, each of two processes with few threads."""
    one = start_server({"FLYTE_WEB_WORKERS": "2", "FLYTE_WEB_THREADS": "2"})
    return one, one.start_again()


def test_tries_are_counted_over_all_processes_and_browsers(servers: Sequence[Server]) -> None:
    one, other = servers
    try:
        password = first_password(one)
        tried = [signed_on(servers[number % 2], "admin", "wrong", f"agent {number}") for number in range(FAILURES + 4)]
        assert tried[: FAILURES - 1] == [200] * (FAILURES - 1)
        assert set(tried[FAILURES:]) == {429}
        assert {signed_on(server, "admin", password) for server in servers for _ in range(4)} == {429}
        assert signed_on(other, "somebody-else", "wrong") == 200
    finally:
        other.stop()


def test_tries_at_the_same_moment_are_not_many_more_than_those_one_by_one(servers: Sequence[Server]) -> None:
    one, other = servers
    try:
        password = first_password(one)
        with ThreadPoolExecutor(TRIES) as pool:
            told = list(
                pool.map(lambda number: signed_on(servers[number % 2], "admin", f"wrong {number}"), range(TRIES))
            )
        assert set(told) <= {200, 429}
        assert told.count(200) <= FAILURES + AT_ONCE
        assert {signed_on(server, "admin", password) for server in servers} == {429}
    finally:
        other.stop()
