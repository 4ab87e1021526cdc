"""Flows from event to completion over HTTP, beside the floor that the database sets (`bench.floor`).

*steady*: each of eight callers sends an event, takes two actions and posts their results, again and again. *burst*:
first all events, so that they wait, then all takes and results. `python -m bench.flows sqlite` or `postgresql`.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles
from typing import Any

from bench import floor
from bench.driver import Connection
from bench.processes import cpu_seconds
from bench.stores import Store, store
from tests.server import Server, fresh_database, migrate, running_server, server_environment

STEADY, BURST = 600, 5000
CALLERS = 8
FLOOR = 2000
ACTIONS_A_FLOW = 2
# Before the next look for work where there was none.
PAUSE_SECONDS = 0.002
RESULT = json.dumps({"event": "Done", "payload": {"n": 1}}).encode()
DOCUMENT = {
    "name": "bench",
    "steps": [
        {
            "id": "one",
            "event": {"packName": "Source", "name": "Go"},
            "context": {"Who": "{{ Event.Payload.who }}"},
            "criteria": "{{ Event.Payload.who|match:'^a' }}",
            "command": {
                "packName": "Worker",
                "name": "Do",
                "input": {"to": "{{ Context.Who }}", "at": "{{ Event.Payload.at }}"},
            },
        },
        {
            "id": "two",
            "dependsOn": ["one"],
            "event": {"packName": "Worker", "name": "Done"},
            "command": {"packName": "Worker", "name": "Then", "input": "{{ Event.Payload.n }} for {{ Context.Who }}"},
        },
    ],
}


class Caller:
    """One connection: sends events, takes and finishes actions, and notes how long what took, in seconds."""

    def __init__(self, host: str) -> None:
        self.connection = Connection(host)
        self.takes: list[float] = []
        self.to_taken: list[float] = []

    def send(self) -> None:
        body = b'{"event":"Go","payload":{"who":"ann","at":"%d"}}' % time.perf_counter_ns()
        self.connection.post("/v1/packs/Source/events", body)

    def finish_one(self) -> None:
        """Take what comes next, and post its result."""
        while not (body := self._taken()):
            time.sleep(PAUSE_SECONDS)
        link = body.partition(b'"href":"http://')[2].partition(b'"')[0]
        self.connection.post(f"/{link.partition(b'/')[2].decode()}", RESULT)

    def _taken(self) -> bytes:
        began = time.perf_counter_ns()
        body = self.connection.post("/v1/packs/Worker/actions/take").body
        if body:
            ended = time.perf_counter_ns()
            self.takes.append((ended - began) / 1e9)
            if at := body.partition(b'"at":"')[2].partition(b'"')[0]:
                self.to_taken.append((ended - int(at)) / 1e9)
        return body


def prepare(server: Server) -> None:
    connection = Connection(server.host)
    for name in ("Source", "Worker"):
        connection.post_json("/v1/packs", {"name": name})
    connection.post_json("/v1/flows", DOCUMENT)
    connection.close()


def steady(caller: Caller, flows: int) -> None:
    for _ in range(flows):
        caller.send()
        for _ in range(ACTIONS_A_FLOW):
            caller.finish_one()


def sends(caller: Caller, flows: int) -> None:
    for _ in range(flows):
        caller.send()


def finishes(caller: Caller, flows: int) -> None:
    for _ in range(flows * ACTIONS_A_FLOW):
        caller.finish_one()


class Cost:
    """Seconds of the clock, and of the processor by server, database and driver, since it was made."""

    def __init__(self, server: Server, database: Store) -> None:
        self._roots = {"server": server.process.pid, "database": database.process}
        self._began = self._read()

    def _read(self) -> dict[str, float]:
        used = {name: cpu_seconds(root) for name, root in self._roots.items()}
        return {"clock": time.perf_counter(), **used, "driver": time.process_time()}

    def spent(self) -> dict[str, float]:
        return {name: value - self._began[name] for name, value in self._read().items()}


def measured(server: Server, database: Store, flows: int, *phases: Callable[[Caller, int], None]) -> dict[str, Any]:
    """What so many flows took, all callers going through one phase after the other."""
    callers = [Caller(server.host) for _ in range(CALLERS)]
    cost = Cost(server, database)
    with ThreadPoolExecutor(CALLERS) as pool:
        for phase in phases:
            list(pool.map(phase, callers, [flows // CALLERS] * CALLERS))
    spent = cost.spent()
    takes = quantiles([seconds for caller in callers for seconds in caller.takes], n=100)
    to_taken = quantiles([seconds for caller in callers for seconds in caller.to_taken], n=100)
    return {
        "flows/s": round(flows / spent["clock"], 1),
        "take p50 ms": round(takes[49] * 1000, 1),
        "take p99 ms": round(takes[98] * 1000, 1),
        "to taken p50 ms": round(to_taken[49] * 1000, 1),
        "to taken p99 ms": round(to_taken[98] * 1000, 1),
        **{f"{name} CPU ms/flow": round(spent[name] / flows * 1000, 2) for name in ("server", "database", "driver")},
    }


def least(database: Store) -> float:
    """Flows a second that the bare database does."""
    with fresh_database(database.folder) as url:
        migrate(server_environment(url), database.folder / "floor.log")
        return FLOOR / floor.seconds(url, FLOOR, CALLERS)


def main() -> None:
    """Measure, and print a line of JSON for each way. A number on the command line stands in the place of both."""
    few, many = map(int, sys.argv[2:3] * 2 or (STEADY, BURST))
    with store() as database:
        most = least(database)
        for load, flows, phases in (("steady", few, [steady]), ("burst", many, [sends, finishes])):
            with running_server(database.folder, {"LOGLEVEL": "ERROR"}) as server:
                prepare(server)
                measured(server, database, CALLERS * 10, steady)
                found = measured(server, database, flows, *phases)
            ratio = {"floor flows/s": round(most, 1), "ratio": round(found["flows/s"] / most, 3)}
            print(
                json.dumps({"database": database.name, "load": load, "flows/s": found.pop("flows/s"), **ratio, **found})
            )


if __name__ == "__main__":
    main()
