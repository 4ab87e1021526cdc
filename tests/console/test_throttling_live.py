"""The limit of sign-in attempts with several web processes, which count together on both databases."""

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
# The number of attempts that all processes can handle at the same time when the last allowed one fails.
AT_ONCE = 2 * 2 * 2


def try_sign_in(server: Server, name: str, password: str, agent: str = "a") -> int:
    """Try to sign in with a new client; return 302 after a success, 429 if further attempts are refused."""
    with httpx.Client(
        base_url=server.url, headers={"User-Agent": agent, "Origin": server.url}, timeout=PATIENCE, trust_env=False
    ) as browser:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get("/admin/login/").text)
        assert token
        form = {"username": name, "password": password, "csrfmiddlewaretoken": token[1]}
        return browser.post("/admin/login/", data=form).status_code


def first_password(server: Server) -> str:
    match = re.search(r"password:\s+(\S+)", server.logs())
    assert match, server.logs()
    return match[1]


@pytest.fixture
def servers(start_server: StartServer) -> Sequence[Server]:
    """Start two servers on one database, each with two processes and few threads."""
    first = start_server({"FLYTE_WEB_WORKERS": "2", "FLYTE_WEB_THREADS": "2"})
    return first, first.start_again()


def test_attempts_of_all_processes_and_browsers_are_counted(servers: Sequence[Server]) -> None:
    first, second = servers
    try:
        password = first_password(first)
        tried = [
            try_sign_in(servers[number % 2], "admin", "wrong", f"agent {number}") for number in range(FAILURES + 4)
        ]
        assert tried[: FAILURES - 1] == [200] * (FAILURES - 1)
        assert set(tried[FAILURES:]) == {429}
        assert {try_sign_in(server, "admin", password) for server in servers for _ in range(4)} == {429}
        assert try_sign_in(second, "somebody-else", "wrong") == 200
    finally:
        second.stop()


def test_concurrent_attempts_hardly_exceed_the_limit(servers: Sequence[Server]) -> None:
    first, second = servers
    try:
        password = first_password(first)
        with ThreadPoolExecutor(TRIES) as pool:
            statuses = list(
                pool.map(lambda number: try_sign_in(servers[number % 2], "admin", f"wrong {number}"), range(TRIES))
            )
        assert set(statuses) <= {200, 429}
        assert statuses.count(200) <= FAILURES + AT_ONCE
        assert {try_sign_in(server, "admin", password) for server in servers} == {429}
    finally:
        second.stop()
