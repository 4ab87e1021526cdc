"""The time from an event to the take of its action, while a pack's long poll waits at the server.

Each event is sent on a new connection, so that it arrives in the same process as the waiting poll or in a different
one. The time until the event's 202 is also measured: the difference is the wake-up of the poll. Run
`python -m bench.longpoll sqlite` or `postgresql`; it measures with and without Redis.
"""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx

from bench.databases import open_database
from tests.private_postgres import URL_VARIABLE
from tests.private_redis import private_redis
from tests.server import Server, running_server

EVENTS = 150
# The time until the next poll after a take has arrived at the server.
PAUSE_SECONDS = 0.05
FLOW = {
    "name": "bench",
    "steps": [{"event": {"packName": "Source", "name": "Go"}, "command": {"packName": "Worker", "name": "Do"}}],
}


def prepare(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for name in ("Source", "Worker"):
            client.post("/v1/packs", json={"name": name}).raise_for_status()
        client.post("/v1/flows", json=FLOW).raise_for_status()


def wait_for_action(url: str) -> float:
    """Poll until a response contains an action; return the time of that response."""
    while httpx.post(f"{url}/v1/packs/Worker/actions/take?wait=30", timeout=60).status_code == 204:
        pass
    return time.perf_counter()


def measure(server: Server) -> tuple[list[float], list[float]]:
    """Measure the milliseconds from sending each event to its 202, and to the response of the take."""
    accepted, taken = [], []
    with ThreadPoolExecutor(1) as poller:
        for _ in range(EVENTS):
            future = poller.submit(wait_for_action, server.url)
            time.sleep(PAUSE_SECONDS)
            with httpx.Client(base_url=server.url, timeout=60) as client:
                start = time.perf_counter()
                client.post("/v1/packs/Source/events", json={"event": "Go"}).raise_for_status()
                accepted.append((time.perf_counter() - start) * 1000)
            taken.append((future.result() - start) * 1000)
    return accepted, taken


def measure_row(folder: Path, redis_url: str = "") -> dict[str, Any]:
    with running_server(folder, {"LOGLEVEL": "ERROR", "FLYTE_REDIS_URL": redis_url}) as server:
        prepare(server)
        accepted, taken = measure(server)
    return {
        "database": "PostgreSQL" if URL_VARIABLE in os.environ else "SQLite",
        "Redis": "yes" if redis_url else "no",
        "event to 202, median ms": round(quantiles(accepted, n=100)[49], 1),
        "event to taken, median ms, long poll": round(quantiles(taken, n=100)[49], 1),
        "p99 ms": round(quantiles(taken, n=100)[98], 1),
    }


def main() -> None:
    """Print a line of JSON without Redis and one with Redis."""
    with ExitStack() as stack:
        folder = stack.enter_context(open_database()).folder
        redis = stack.enter_context(private_redis())
        for url in ("", redis.url):
            print(json.dumps(measure_row(folder, url)), flush=True)


if __name__ == "__main__":
    main()
