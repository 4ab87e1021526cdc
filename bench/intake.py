"""Events per second with many flows, few of which match.

Run `python -m bench.intake sqlite` or `postgresql`. Matching flows are saved over HTTP, the others are inserted into
the database. Each number of flows has a separate server and database. They are measured in turns, so that other load
on the machine affects all of them. The results are medians of the rounds.
"""

import json
import random
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from statistics import median
from typing import Any

import psycopg

from bench.databases import open_database
from bench.driver import KeepAliveConnection
from tests.server import Server, running_server

FLOW_COUNTS = (10, 1_000, 10_000)
LISTENER_COUNTS = (1, 100)
# The events of a round, by the number of matching flows.
EVENTS_PER_ROUND = {1: 400, 100: 24}
ROUNDS = 11
CALLERS = 4
FIRST_ID = 1_000_000
EMPTY_VERSION = {"source": "", "media_type": "", "saved_by": "", "note": "", "saved_at": "2026-01-01 00:00:00+00:00"}
EMPTY_FLOW = {"description": "", "labels": "{}", "enabled": True}


def build_document(name: str, event: str) -> dict[str, Any]:
    command = {"packName": "Worker", "name": "Do", "input": "{{ Event.Payload.who }}"}
    return {"name": name, "steps": [{"event": {"packName": "Source", "name": event}, "command": command}]}


def insert_flows(url: str, first: int, last: int) -> None:
    """Insert flows that match other events of the pack, with the same rows that the server writes."""
    is_sqlite = url.startswith("sqlite:///")
    connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=60) if is_sqlite else psycopg.connect(url)
    placeholder = "?" if is_sqlite else "%s"
    with closing(connection):
        for number in range(first, last):
            for table, row in build_rows(number).items():
                placeholders = ", ".join([placeholder] * len(row))
                sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({placeholders})"  # noqa: S608
                connection.execute(sql, tuple(row.values()))
        connection.commit()


def build_rows(number: int) -> dict[str, dict[str, Any]]:
    """Build the rows of a flow by table."""
    name, version, flow, event = f"other {number}", f"{number:024x}", FIRST_ID + number, f"Other{number}"
    text = json.dumps(build_document(name, event))
    return {
        "flows_flowversion": {"id": version, "flow_name": name, "document": text} | EMPTY_VERSION,
        "flows_flow": {"id": flow, "name": name, "version_id": version} | EMPTY_FLOW,
        "flows_listener": {"flow_id": flow, "pack_name": "Source", "event_name": event},
    }


def send_events(server: Server, event: str, events: int) -> None:
    with closing(KeepAliveConnection(server.host)) as connection:
        for _ in range(events):
            connection.post_json("/v1/packs/Source/events", {"event": event, "payload": {"who": "ann"}})


def measure_rate(server: Server, event: str, events: int) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(lambda _: send_events(server, event, events // CALLERS), range(CALLERS)))
    return events / (time.perf_counter() - start)


def prepare(server: Server, size: int) -> None:
    """Save the flows and send the first events, with which the server compiles flows and opens connections."""
    with closing(KeepAliveConnection(server.host)) as connection:
        for name in ("Source", "Worker"):
            connection.post_json("/v1/packs", {"name": name})
        for listening in LISTENER_COUNTS:
            for number in range(listening):
                connection.post_json("/v1/flows", build_document(f"{listening} {number}", f"Go{listening}"))
    insert_flows(server.database_url, 0, size)
    for listening in LISTENER_COUNTS:
        measure_rate(server, f"Go{listening}", EVENTS_PER_ROUND[listening])


def measure_rates(servers: dict[int, Server]) -> dict[tuple[int, int], list[float]]:
    """Measure the events per second in each round, by the number of all and of matching flows."""
    figures: dict[tuple[int, int], list[float]] = {(size, number): [] for size in servers for number in LISTENER_COUNTS}
    for _ in range(ROUNDS):
        for (size, listening), values in random.sample(list(figures.items()), len(figures)):
            values.append(measure_rate(servers[size], f"Go{listening}", EVENTS_PER_ROUND[listening]))
    return figures


def main() -> None:
    """Print a line of JSON for each number of flows."""
    with open_database() as database, ExitStack() as stack:
        servers = {}
        for size in FLOW_COUNTS:
            servers[size] = stack.enter_context(running_server(database.folder, {"LOGLEVEL": "ERROR"}))
            prepare(servers[size], size)
        figures = measure_rates(servers)
        for size in FLOW_COUNTS:
            medians = {
                f"events/s, {number} listen": round(median(figures[size, number]), 1) for number in LISTENER_COUNTS
            }
            print(json.dumps({"database": database.name, "flows": size} | medians), flush=True)


if __name__ == "__main__":
    main()
