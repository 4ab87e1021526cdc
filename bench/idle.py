"""The cost per minute of 500 idle packs. Run `python -m bench.idle sqlite` or `postgresql`.

*every 5 s*: each pack polls on a keep-alive connection every five seconds. *long polling*: each pack waits in a poll as
long as the server allows, and polls again at once, or after `Retry-After`. Queries are PostgreSQL's transactions, as
each query is a transaction here; writes are rows, with which the server records when a pack was last seen.
"""

import json
import selectors
import sys
import time
from typing import Any

import psycopg

from bench.databases import BenchDatabase, open_database
from bench.driver import KeepAliveConnection
from bench.processes import cpu_seconds
from tests.server import Server, running_server

PACKS = 500
POLL_INTERVAL = 5.0
MEASURED_SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
# The time until the first request of every pack has a response or waits.
SETTLE_SECONDS = 10.0
WAIT_SECONDS = 30
MODES = {"every 5 s": "", "long polling": f"?wait={WAIT_SECONDS}"}
_COUNTS = """SELECT sum(xact_commit), sum(tup_inserted + tup_updated + tup_deleted) FROM pg_stat_database
    WHERE datname = current_database()"""


class Poller:
    """The connection of one pack, and the time of its next poll."""

    def __init__(self, server: Server, number: int, query: str) -> None:
        self.connection = KeepAliveConnection(server.host)
        self.path = f"/v1/packs/Idle.n.{number}/actions/take{query}"
        self.next_at = time.monotonic() + POLL_INTERVAL * number / PACKS
        self.is_waiting = False

    def send_poll(self) -> None:
        self.connection.send(self.path)
        self.is_waiting = True

    def receive_response(self, is_long_poll: bool) -> None:
        response = self.connection.receive()
        if response.status != 204 and not (is_long_poll and response.status == 503):
            raise ValueError(f"unexpected response to a poll: {response}")
        self.is_waiting = False
        pause = (
            float(response.headers.partition(b"retry-after:")[2].split(b"\r\n", 1)[0] or 0)
            if is_long_poll
            else POLL_INTERVAL
        )
        self.next_at = time.monotonic() + pause


def poll(pollers: list[Poller], seconds: float, *, is_long_poll: bool) -> int:
    """Let the packs poll for this time; return the number of responses."""
    deadline, answered = time.monotonic() + seconds, 0
    with selectors.DefaultSelector() as selector:
        for poller in pollers:
            selector.register(poller.connection.socket, selectors.EVENT_READ, poller)
        while (now := time.monotonic()) < deadline:
            for poller in pollers:
                if not poller.is_waiting and poller.next_at <= now:
                    poller.send_poll()
            for key, _ in selector.select(0.05):
                ready: Poller = key.data
                ready.receive_response(is_long_poll)
                answered += 1
    return answered


def read_counts(database: BenchDatabase, url: str) -> tuple[int, int]:
    """Return the database's transactions and written rows so far; zeros for SQLite, which counts neither."""
    if not database.process:
        return 0, 0
    with psycopg.connect(url, autocommit=True) as connection:
        time.sleep(1.5)  # PostgreSQL updates the statistics of connections only once per second
        commits, writes = connection.execute(_COUNTS).fetchone() or (0, 0)
        return int(commits), int(writes)


def measure(server: Server, database: BenchDatabase, mode: str) -> dict[str, Any]:
    is_long_poll = bool(MODES[mode])
    pollers = [Poller(server, number, MODES[mode]) for number in range(PACKS)]
    poll(pollers, SETTLE_SECONDS, is_long_poll=is_long_poll)
    before = read_counts(database, server.database_url)
    roots = {"server": server.process.pid, "database": database.process}
    cpu_before = {name: cpu_seconds(root) for name, root in roots.items()}
    answered = poll(pollers, MEASURED_SECONDS, is_long_poll=is_long_poll)
    spent = {name: cpu_seconds(root) - cpu_before[name] for name, root in roots.items()}
    after = read_counts(database, server.database_url)
    for poller in pollers:
        poller.connection.close()
    minute = 60 / MEASURED_SECONDS
    return {
        "database": database.name,
        "packs": PACKS,
        "way": mode,
        "polls/min": round(answered * minute),
        "queries/min": round((after[0] - before[0]) * minute) if database.process else "-",
        "writes/min": round((after[1] - before[1]) * minute) if database.process else "-",
        **{f"{name} CPU s/min": round(seconds * minute, 2) for name, seconds in spent.items()},
        "% of a core": round(sum(spent.values()) / MEASURED_SECONDS * 100, 1),
    }


def main() -> None:
    """Print a line of JSON for each mode of polling."""
    with open_database() as database, running_server(database.folder, {"LOGLEVEL": "ERROR"}) as server:
        connection = KeepAliveConnection(server.host)
        for number in range(PACKS):
            connection.post_json("/v1/packs", {"name": "Idle", "labels": {"n": str(number)}})
        for mode in MODES:
            print(json.dumps(measure(server, database, mode)), flush=True)


if __name__ == "__main__":
    main()
