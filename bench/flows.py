"""Flows from event to completion over HTTP, beside the floor that the database sets.

The floor makes the same writes – an execution, an action, a take, a result, the event – in the same number of commits
and with the same number of connections, with no HTTP, no templates and no ORM. `python -m bench.flows` measures on
SQLite, under `python -m tests.private_postgres` on PostgreSQL; both print one line of JSON.
"""

import json
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import psycopg

from tests.private_postgres import URL_VARIABLE, create_database
from tests.server import Server, running_server

FLOWS = 400
CLIENTS = 4
ACTIONS_A_FLOW = 2
DOCUMENT = {
    "name": "bench",
    "steps": [
        {
            "id": "one",
            "event": {"packName": "Source", "name": "Go"},
            "context": {"Who": "{{ Event.Payload.who }}"},
            "criteria": "{{ Event.Payload.who|match:'^a' }}",
            "command": {"packName": "Worker", "name": "Do", "input": {"to": "{{ Context.Who }}"}},
        },
        {
            "id": "two",
            "dependsOn": ["one"],
            "event": {"packName": "Worker", "name": "Done"},
            "command": {"packName": "Worker", "name": "Then", "input": "{{ Event.Payload.n }} for {{ Context.Who }}"},
        },
    ],
}
TEXT = json.dumps(DOCUMENT)


def through_http(server: Server) -> tuple[float, list[float]]:
    """Seconds for all flows, and the seconds of each take that gave an action."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for name in ("Source", "Worker"):
            client.post("/v1/packs", json={"name": name}).raise_for_status()
        client.post("/v1/flows", json=DOCUMENT).raise_for_status()
    takes: list[float] = []
    left = Countdown(FLOWS * ACTIONS_A_FLOW)
    began = time.perf_counter()
    with ThreadPoolExecutor(2 * CLIENTS) as pool:
        jobs = [pool.submit(send, server.url, FLOWS // CLIENTS) for _ in range(CLIENTS)]
        jobs += [pool.submit(work, server.url, left, takes) for _ in range(CLIENTS)]
        for job in jobs:
            job.result()
    return time.perf_counter() - began, takes


class Countdown:
    """How many actions are still to be finished, among all workers."""

    def __init__(self, count: int) -> None:
        self.count, self.lock = count, threading.Lock()

    def done(self) -> None:
        with self.lock:
            self.count -= 1


def send(url: str, events: int) -> None:
    with httpx.Client(base_url=url, timeout=60) as client:
        for _ in range(events):
            client.post("/v1/packs/Source/events", json={"event": "Go", "payload": {"who": "ann"}}).raise_for_status()


def work(url: str, left: Countdown, takes: list[float]) -> None:
    with httpx.Client(base_url=url, timeout=60) as client:
        while left.count > 0:
            began = time.perf_counter()
            answer = client.post("/v1/packs/Worker/actions/take").raise_for_status()
            if answer.status_code == 204:
                time.sleep(0.005)
                continue
            takes.append(time.perf_counter() - began)
            link = answer.json()["links"][0]["href"]
            client.post(link, json={"event": "Done", "payload": {"n": 1}}).raise_for_status()
            left.done()


TABLES = (
    "CREATE TABLE event (id text PRIMARY KEY, body text)",
    "CREATE TABLE execution (id text PRIMARY KEY, body text)",
    "CREATE TABLE action (id text PRIMARY KEY, execution text, state text, body text, result text)",
)


def floor_round(number: str, execute: Callable[[str, tuple[Any, ...]], Any], commit: Callable[[], None]) -> None:
    """The writes of one flow: its event; each action taken; each result, which brings an event and maybe an action."""
    execute("INSERT INTO event VALUES (?, ?)", (f"{number}-0", TEXT))
    execute("INSERT INTO execution VALUES (?, ?)", (number, TEXT))
    execute("INSERT INTO action VALUES (?, ?, 'NEW', ?, NULL)", (f"{number}-1", number, TEXT))
    commit()
    for place in range(1, ACTIONS_A_FLOW + 1):
        action = f"{number}-{place}"
        execute("UPDATE action SET state = 'PENDING' WHERE id = ? AND state = 'NEW'", (action,))
        commit()
        execute("UPDATE action SET state = 'SUCCESS', result = ? WHERE id = ?", (TEXT, action))
        execute("UPDATE execution SET body = ? WHERE id = ?", (TEXT, number))
        execute("INSERT INTO event VALUES (?, ?)", (action, TEXT))
        if place < ACTIONS_A_FLOW:
            execute("INSERT INTO action VALUES (?, ?, 'NEW', ?, NULL)", (f"{number}-{place + 1}", number, TEXT))
        commit()


def floor(connect: Callable[[], Any], placeholder: str) -> float:
    """Seconds that the bare database takes for the same flows."""
    with closing(connect()) as first:
        for table in TABLES:
            first.execute(table)
        first.commit()

    def run(client: int) -> None:
        with closing(connect()) as connection:

            def execute(sql: str, values: tuple[Any, ...]) -> None:
                if placeholder == "?" and not connection.in_transaction:
                    connection.execute("BEGIN IMMEDIATE")
                connection.execute(sql.replace("?", placeholder), values)

            for number in range(FLOWS // CLIENTS):
                floor_round(f"{client}-{number}", execute, connection.commit)

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(run, range(CLIENTS)))
    return time.perf_counter() - began


def sqlite_connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def main() -> None:
    """Measure, and print one line of JSON."""
    cluster = os.environ.get(URL_VARIABLE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_server(folder, {"LOGLEVEL": "ERROR"}) as server:
            seconds, takes = through_http(server)
        if cluster:
            url = create_database(cluster, "bench_floor")
            least = floor(lambda: psycopg.connect(url), "%s")
        else:
            least = floor(lambda: sqlite_connection(folder / "floor.sqlite3"), "?")
    cuts = quantiles(takes, n=100)
    row = {
        "database": "PostgreSQL" if cluster else "SQLite",
        "flows/s": round(FLOWS / seconds, 1),
        "floor flows/s": round(FLOWS / least, 1),
        "ratio": round(least / seconds, 3),
        "take p50 ms": round(cuts[49] * 1000, 1),
        "take p99 ms": round(cuts[98] * 1000, 1),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
