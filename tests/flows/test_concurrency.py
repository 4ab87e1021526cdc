"""Concurrent results and requests, from real processes, on each database."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from tests.flows import builders as b
from tests.server import Server

pytestmark = [pytest.mark.database, pytest.mark.acceptance]

ROUNDS = 150


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Make the calls at the same time, each in a separate thread."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], httpx.Response]) -> httpx.Response:
        barrier.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def post(client: httpx.Client, path: str, body: Any) -> httpx.Response:
    response = client.post(path, json=body)
    assert response.status_code in (200, 201, 202, 204), response.text
    return response


def result_link(response: httpx.Response) -> str:
    return str(response.json()["links"][0]["href"])


@pytest.mark.parametrize("mode", ["any", "all"])
def test_a_step_runs_once_if_two_results_arrive_at_the_same_time(
    client: httpx.Client, server: Server, mode: str
) -> None:
    source, worker, joiner = (f"{name}-{mode}" for name in ("Src", "Wrk", "Join"))
    event, command = {"packName": source, "name": "Go"}, {"packName": worker, "name": "Do"}
    join = b.follower(["a", "b"], pack=worker, id="c", dependsOnMode=mode, command={"packName": joiner, "name": "Do"})
    starts = [b.step(id=step_id, event=event, command=command) for step_id in ("a", "b")]
    flow = b.document(*starts, join, name=f"join-{mode}")
    for name in (source, worker, joiner):
        post(client, "/v1/packs", {"name": name})
    post(client, "/v1/flows", flow)
    with (
        httpx.Client(base_url=server.url, timeout=30) as left,
        httpx.Client(base_url=server.url, timeout=30) as right,
    ):
        for _ in range(ROUNDS):
            post(client, f"/v1/packs/{source}/events", {"event": "Go"})
            first, second = (result_link(post(client, f"/v1/packs/{worker}/actions/take", None)) for _ in range(2))
            responses = at_once(
                partial(left.post, first, json={"event": "Done"}),
                partial(right.post, second, json={"event": "Done"}),
            )
            assert [response.status_code for response in responses] == [202, 202]
    client.delete(f"/v1/flows/join-{mode}")
    runs = executions(client, flow["name"])
    assert len(runs) == ROUNDS
    assert Counter(tuple(sorted(run["actions"])) for run in runs) == {("a", "b", "c"): ROUNDS}
    joins = [client.post(f"/v1/packs/{joiner}/actions/take").status_code for _ in range(ROUNDS + 1)]
    assert joins == [200] * ROUNDS + [204]


def executions(client: httpx.Client, flow_name: str) -> list[dict[str, Any]]:
    response = client.get("/v1/audit/flows", params={"flowName": flow_name, "limit": 500})
    runs: list[dict[str, Any]] = response.json()["flows"]
    return runs


def test_equal_results_at_the_same_time_count_once_and_are_both_accepted(client: httpx.Client, server: Server) -> None:
    for name in ("Src2", "Wrk2"):
        post(client, "/v1/packs", {"name": name})
    event, command = {"packName": "Src2", "name": "Go"}, {"packName": "Wrk2", "name": "Do"}
    dependent = b.follower("a", id="b", pack="Wrk2", command=command)
    post(client, "/v1/flows", b.document(b.step(id="a", event=event, command=command), dependent, name="twice"))
    with (
        httpx.Client(base_url=server.url, timeout=30) as left,
        httpx.Client(base_url=server.url, timeout=30) as right,
    ):
        for _ in range(30):
            post(client, "/v1/packs/Src2/events", {"event": "Go"})
            link = result_link(post(client, "/v1/packs/Wrk2/actions/take", None))
            responses = at_once(
                *(partial(poster.post, link, json={"event": "Done", "payload": 1}) for poster in (left, right))
            )
            assert [response.status_code for response in responses] == [202, 202]
            post(client, "/v1/packs/Wrk2/actions/take", None)
            assert client.post("/v1/packs/Wrk2/actions/take").status_code == 204


def test_concurrent_posts_of_a_flow_save_one_flow(client: httpx.Client, server: Server) -> None:
    clients = [httpx.Client(base_url=server.url, timeout=30) for _ in range(4)]
    flow = b.document(b.step(), name="contended")
    for _ in range(10):
        responses = at_once(*(partial(poster.post, "/v1/flows", json=flow) for poster in clients))
        assert [response.status_code for response in responses] == [201] * 4
    assert [saved["name"] for saved in client.get("/v1/flows").json()["flows"]].count("contended") == 1


def test_concurrent_registrations_of_a_pack_register_one_pack(client: httpx.Client, server: Server) -> None:
    clients = [httpx.Client(base_url=server.url, timeout=30) for _ in range(4)]
    for number in range(10):
        body = {"name": f"Contended{number}"}
        responses = at_once(*(partial(poster.post, "/v1/packs", json=body) for poster in clients))
        assert [response.status_code for response in responses] == [201] * 4
