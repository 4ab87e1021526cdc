"""Events a second while very many flows are saved, of which few listen.

`python -m bench.intake sqlite` or `postgresql`. Those that listen are saved over HTTP, the others are
written into the database.
"""

import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg

from bench.driver import Connection
from bench.stores import Store, store
from tests.server import Server, running_server

SIZES = (10, 1_000, 10_000)
LISTENING = (1, 100)
EVENTS = {1: 800, 100: 24}
CALLERS = 4
FIRST_ID = 1_000_000
EMPTY_VERSION = {"source": "", "media_type": "", "saved_by": "", "note": "", "saved_at": "2026-01-01 00:00:00+00:00"}
EMPTY_FLOW = {"description": "", "labels": "{}", "enabled": True}


def document(name: str, event: str) -> dict[str, Any]:
    command = {"packName": "Worker", "name": "Do", "input": "{{ Event.Payload.who }}"}
    return {"name": name, "steps": [{"event": {"packName": "Source", "name": event}, "command": command}]}


def save_many(url: str, first: int, last: int) -> None:
    """Flows that listen to other events of the pack, written as the server writes them."""
    sqlite = url.startswith("sqlite:///")
    connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=60) if sqlite else psycopg.connect(url)
    mark = "?" if sqlite else "%s"
    with closing(connection):
        for number in range(first, last):
            for table, row in rows_of(number).items():
                marks = ", ".join([mark] * len(row))
                sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
                connection.execute(sql, tuple(row.values()))
        connection.commit()


def rows_of(number: int) -> dict[str, dict[str, Any]]:
    """The rows of one such flow by their tables."""
    name, version, flow, event = f"other {number}", f"{number:024x}", FIRST_ID + number, f"Other{number}"
    text = json.dumps(document(name, event))
    return {
        "flows_flowversion": {"id": version, "flow_name": name, "document": text} | EMPTY_VERSION,
        "flows_flow": {"id": flow, "name": name, "version_id": version} | EMPTY_FLOW,
        "flows_listener": {"flow_id": flow, "pack_name": "Source", "event_name": event},
    }


def send(server: Server, event: str, events: int) -> None:
    with closing(Connection(server.host)) as connection:
        for _ in range(events):
            connection.post_json("/v1/packs/Source/events", {"event": event, "payload": {"who": "ann"}})


def rate(server: Server, event: str, events: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(lambda _: send(server, event, events // CALLERS), range(CALLERS)))
    return events / (time.perf_counter() - began)


def main() -> None:
    """Measure, and print a line of JSON for each number of flows."""
    with store() as database, running_server(database.folder, {"LOGLEVEL": "ERROR"}) as server:
        with closing(Connection(server.host)) as connection:
            for name in ("Source", "Worker"):
                connection.post_json("/v1/packs", {"name": name})
            for listening in LISTENING:
                for number in range(listening):
                    connection.post_json("/v1/flows", document(f"{listening} {number}", f"Go{listening}"))
        saved = 0
        for size in SIZES:
            save_many(server.database_url, saved, size)
            saved = size
            print(json.dumps(measured(server, database, size)), flush=True)


def measured(server: Server, database: Store, size: int) -> dict[str, Any]:
    row: dict[str, Any] = {"database": database.name, "flows": size}
    for listening in LISTENING:
        rate(server, f"Go{listening}", 2 * CALLERS)
        row[f"events/s, {listening} listen"] = round(rate(server, f"Go{listening}", EVENTS[listening]), 1)
    return row


if __name__ == "__main__":
    main()
