"""Concurrent writes to one resource: each pair of requests, again and again. None may fail with 500 or 503."""

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT

from flyte_site.db.conflicts import MAX_RETRIES, retry_conflicts
from tests.flows import builders as b

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

ROUNDS = 12
VALUE = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="value"; filename="v"\r\n\r\n1\r\n--{BOUNDARY}--\r\n'
Write = Callable[[Client], Any]


def post(path: str, body: Any = None) -> Write:
    return lambda client: client.post(path, json.dumps(body), content_type="application/json")


def delete(path: str) -> Write:
    return lambda client: client.delete(path)


def put_value(client: Client) -> Any:
    return client.put("/v1/datastore/x", VALUE, content_type=MULTIPART_CONTENT)


def flow(*events: str) -> dict[str, Any]:
    return b.document(*[b.step(id=name, event={"packName": "Src", "name": name}) for name in events], name="x")


RESOURCES: dict[str, dict[str, Write]] = {
    "pack": {
        "register": post("/v1/packs", {"name": "x"}),
        "change": post("/v1/packs", {"name": "x", "commands": [{"name": "Do"}]}),
        "delete": delete("/v1/packs/x"),
        "take": post("/v1/packs/x/actions/take"),
        "send": post("/v1/packs/x/events", {"event": "Go"}),
    },
    "datastore item": {"put": put_value, "delete": delete("/v1/datastore/x")},
    "flow": {
        "save": post("/v1/flows", flow("A", "B", "C")),
        "change": post("/v1/flows", flow("C", "B", "A", "D")),
        "delete": delete("/v1/flows/x"),
        "enable": post("/v1/flows/x/enable"),
        "disable": post("/v1/flows/x/disable"),
    },
}


def write_in_thread(write: Write, barrier: threading.Barrier) -> Counter[int]:
    """Send the request in every round, at the same moment as the other threads; count the status codes."""
    client, statuses = Client(raise_request_exception=False), Counter[int]()
    try:
        for _ in range(ROUNDS):
            barrier.wait(60)
            statuses[write(client).status_code] += 1
    finally:
        connection.close()
    return statuses


def race(*writes: Write) -> Counter[int]:
    """Run each write in a thread, and count all status codes."""
    barrier = threading.Barrier(len(writes))
    with ThreadPoolExecutor(len(writes)) as pool:
        return sum(pool.map(lambda write: write_in_thread(write, barrier), writes), Counter[int]())


@pytest.mark.parametrize("resource", RESOURCES)
def test_concurrent_writes_to_one_resource_never_fail(resource: str) -> None:
    writes = RESOURCES[resource]
    pairs = [*itertools.combinations_with_replacement(writes, 2), tuple(writes)]
    statuses = {" and ".join(names): race(*[writes[name] for name in names]) for names in pairs}
    assert {names: counts for names, counts in statuses.items() if max(counts) >= 500} == {}


def test_the_writes_to_one_execution_never_fail() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.step(id="b"))
    b.tell(source)
    first, second = b.take(worker), b.take(worker)
    path = f"/v1/audit/flows/{first.correlation_id}"
    results = [post(f"/v1/packs/Wrk/actions/{action.id}/result", {"event": "FATAL"}) for action in (first, second)]
    beats = [post(f"/v1/packs/Wrk/actions/{action.id}/heartbeat") for action in (first, second)]
    statuses = race(*results, *beats, post(f"{path}/cancel"), post(f"{path}/steps/a/retry"), post(f"{path}/replay"))
    assert {status for status in statuses if status >= 500} == set(), statuses


def test_a_conflict_is_retried_a_limited_number_of_times() -> None:
    calls = []

    @retry_conflicts
    def fail() -> None:
        calls.append(1)
        raise IntegrityError

    with pytest.raises(IntegrityError):
        fail()
    assert len(calls) == MAX_RETRIES + 1
