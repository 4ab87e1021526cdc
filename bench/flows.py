"""Flows from event to completion over HTTP, compared to the floor that the database sets (`bench.floor`).

*steady*: each of eight callers repeatedly sends an event, takes two actions and posts their results. *burst*: first all
events, which queue their actions, then all takes and results. Run `python -m bench.flows sqlite` or `postgresql`.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles
from typing import Any

from bench import floor
from bench.databases import BenchDatabase, open_database
from bench.driver import KeepAliveConnection
from bench.processes import cpu_seconds
from tests.server import Server, fresh_database, migrate, running_server, server_environment

STEADY_FLOWS, BURST_FLOWS = 600, 5000
CALLERS = 8
FLOOR_FLOWS = 2000
ACTIONS_PER_FLOW = 2
# The delay after a take that returned no action.
PAUSE_SECONDS = 0.002
RESULT_BODY = json.dumps({"event": "Done", "payload": {"n": 1}}).encode()
FLOW_DOCUMENT = {
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


class LoadClient:
    """A client with one connection that sends events, takes and finishes actions, and records durations in seconds."""

    def __init__(self, host: str) -> None:
        self.connection = KeepAliveConnection(host)
        self.takes: list[float] = []
        self.event_to_take: list[float] = []

    def send_event(self) -> None:
        body = b'{"event":"Go","payload":{"who":"ann","at":"%d"}}' % time.perf_counter_ns()
        self.connection.post("/v1/packs/Source/events", body)

    def complete_action(self) -> None:
        """Take the next action and post its result."""
        while not (body := self._take()):
            time.sleep(PAUSE_SECONDS)
        link = body.partition(b'"href":"http://')[2].partition(b'"')[0]
        self.connection.post(f"/{link.partition(b'/')[2].decode()}", RESULT_BODY)

    def _take(self) -> bytes:
        start = time.perf_counter_ns()
        body = self.connection.post("/v1/packs/Worker/actions/take").body
        if body:
            end = time.perf_counter_ns()
            self.takes.append((end - start) / 1e9)
            if sent_at := body.partition(b'"at":"')[2].partition(b'"')[0]:
                self.event_to_take.append((end - int(sent_at)) / 1e9)
        return body


def prepare(server: Server) -> None:
    connection = KeepAliveConnection(server.host)
    for name in ("Source", "Worker"):
        connection.post_json("/v1/packs", {"name": name})
    connection.post_json("/v1/flows", FLOW_DOCUMENT)
    connection.close()


def run_steadily(caller: LoadClient, flows: int) -> None:
    for _ in range(flows):
        caller.send_event()
        for _ in range(ACTIONS_PER_FLOW):
            caller.complete_action()


def send_events(caller: LoadClient, flows: int) -> None:
    for _ in range(flows):
        caller.send_event()


def complete_actions(caller: LoadClient, flows: int) -> None:
    for _ in range(flows * ACTIONS_PER_FLOW):
        caller.complete_action()


class ResourceUsage:
    """Elapsed time, and processor time of server, database and driver, since its creation, in seconds."""

    def __init__(self, server: Server, database: BenchDatabase) -> None:
        self._roots = {"server": server.process.pid, "database": database.process}
        self._start = self._read()

    def _read(self) -> dict[str, float]:
        used = {name: cpu_seconds(root) for name, root in self._roots.items()}
        return {"clock": time.perf_counter(), **used, "driver": time.process_time()}

    def since_start(self) -> dict[str, float]:
        return {name: value - self._start[name] for name, value in self._read().items()}


def measure(
    server: Server, database: BenchDatabase, flows: int, *phases: Callable[[LoadClient, int], None]
) -> dict[str, Any]:
    """Run the flows, with all callers in one phase after the other; return rates, durations and processor times."""
    callers = [LoadClient(server.host) for _ in range(CALLERS)]
    usage = ResourceUsage(server, database)
    with ThreadPoolExecutor(CALLERS) as pool:
        for phase in phases:
            list(pool.map(phase, callers, [flows // CALLERS] * CALLERS))
    spent = usage.since_start()
    takes = quantiles([seconds for caller in callers for seconds in caller.takes], n=100)
    event_to_take = quantiles([seconds for caller in callers for seconds in caller.event_to_take], n=100)
    return {
        "flows/s": round(flows / spent["clock"], 1),
        "take p50 ms": round(takes[49] * 1000, 1),
        "take p99 ms": round(takes[98] * 1000, 1),
        "to taken p50 ms": round(event_to_take[49] * 1000, 1),
        "to taken p99 ms": round(event_to_take[98] * 1000, 1),
        **{f"{name} CPU ms/flow": round(spent[name] / flows * 1000, 2) for name in ("server", "database", "driver")},
    }


def measure_floor(database: BenchDatabase) -> float:
    """Return the flows per second of the plain database."""
    with fresh_database(database.folder) as url:
        migrate(server_environment(url), database.folder / "floor.log")
        return FLOOR_FLOWS / floor.measure_seconds(url, FLOOR_FLOWS, CALLERS)


def main() -> None:
    """Print a line of JSON for each kind of load. The second argument sets the number of flows of both."""
    steady_flows, burst_flows = map(int, sys.argv[2:3] * 2 or (STEADY_FLOWS, BURST_FLOWS))
    with open_database() as database:
        floor_rate = measure_floor(database)
        for load, flows, phases in (
            ("steady", steady_flows, [run_steadily]),
            ("burst", burst_flows, [send_events, complete_actions]),
        ):
            with running_server(database.folder, {"LOGLEVEL": "ERROR"}) as server:
                prepare(server)
                measure(server, database, CALLERS * 10, run_steadily)
                figures = measure(server, database, flows, *phases)
            ratio = {"floor flows/s": round(floor_rate, 1), "ratio": round(figures["flows/s"] / floor_rate, 3)}
            print(
                json.dumps(
                    {"database": database.name, "load": load, "flows/s": figures.pop("flows/s"), **ratio, **figures}
                )
            )


if __name__ == "__main__":
    main()
