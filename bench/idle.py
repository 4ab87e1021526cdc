"""Five hundred packs that have nothing to do: what they cost a minute. `python -m bench.idle sqlite` or `postgresql`.

*every 5 s*: each asks on a connection that it keeps, and comes again after five seconds. *long polling*: each asks to
wait as long as the server says that it may, and comes again at once, or when a `Retry-After` says. Queries are
PostgreSQL's transactions, of which each query is one here; writes are rows, those that note when a pack was last seen.
"""

import json
import selectors
import sys
import time
from typing import Any

import psycopg

from bench.driver import Connection
from bench.processes import cpu_seconds
from bench.stores import Store, store
from tests.server import Server, running_server

PACKS = 500
INTERVAL = 5.0
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
# Until every pack's first request is answered or waits.
SETTLE_SECONDS = 10.0
WAIT = 30
WAYS = {"every 5 s": "", "long polling": f"?wait={WAIT}"}
_COUNTS = """SELECT sum(xact_commit), sum(tup_inserted + tup_updated + tup_deleted) FROM pg_stat_database
    WHERE datname = current_database()"""


class Poller:
    """One pack's connection, and when it asks next."""

    def __init__(self, server: Server, number: int, query: str) -> None:
        self.connection = Connection(server.host)
        self.path = f"/v1/packs/Idle.n.{number}/actions/take{query}"
        self.next_at = time.monotonic() + INTERVAL * number / PACKS
        self.waits = False

    def ask(self) -> None:
        self.connection.send(self.path)
        self.waits = True

    def answered(self, long: bool) -> None:
        answer = self.connection.receive()
        if answer.status != 204:
            raise ValueError(f"a poll was answered {answer}")
        self.waits = False
        pause = float(answer.head.partition(b"retry-after:")[2].split(b"\r\n", 1)[0] or 0) if long else INTERVAL
        self.next_at = time.monotonic() + pause


def poll(pollers: list[Poller], seconds: float, *, long: bool) -> int:
    """Let the packs poll for so long; gives how many polls were answered."""
    ends_at, answered = time.monotonic() + seconds, 0
    with selectors.DefaultSelector() as selector:
        for poller in pollers:
            selector.register(poller.connection.socket, selectors.EVENT_READ, poller)
        while (now := time.monotonic()) < ends_at:
            for poller in pollers:
                if not poller.waits and poller.next_at <= now:
                    poller.ask()
            for key, _ in selector.select(0.05):
                key.data.answered(long)
                answered += 1
    return answered


def counts(database: Store, url: str) -> tuple[int, int]:
    """Transactions and written rows of the database so far; zeros for SQLite, which counts neither."""
    if not database.process:
        return 0, 0
    with psycopg.connect(url, autocommit=True) as connection:
        time.sleep(1.5)  # what the server's connections did is known only a second later
        commits, writes = connection.execute(_COUNTS).fetchone() or (0, 0)
        return int(commits), int(writes)


def measured(server: Server, database: Store, way: str) -> dict[str, Any]:
    long = bool(WAYS[way])
    pollers = [Poller(server, number, WAYS[way]) for number in range(PACKS)]
    poll(pollers, SETTLE_SECONDS, long=long)
    before = counts(database, server.database_url)
    roots = {"server": server.process.pid, "database": database.process}
    used = {name: cpu_seconds(root) for name, root in roots.items()}
    answered = poll(pollers, SECONDS, long=long)
    spent = {name: cpu_seconds(root) - used[name] for name, root in roots.items()}
    after = counts(database, server.database_url)
    for poller in pollers:
        poller.connection.close()
    minute = 60 / SECONDS
    return {
        "database": database.name,
        "packs": PACKS,
        "way": way,
        "polls/min": round(answered * minute),
        "queries/min": round((after[0] - before[0]) * minute) if database.process else "-",
        "writes/min": round((after[1] - before[1]) * minute) if database.process else "-",
        **{f"{name} CPU s/min": round(seconds * minute, 2) for name, seconds in spent.items()},
        "% of a core": round(sum(spent.values()) / SECONDS * 100, 1),
    }


def main() -> None:
    """Measure, and print a line of JSON for each way."""
    with store() as database, running_server(database.folder, {"LOGLEVEL": "ERROR"}) as server:
        connection = Connection(server.host)
        for number in range(PACKS):
            connection.post_json("/v1/packs", {"name": "Idle", "labels": {"n": str(number)}})
        for way in WAYS:
            print(json.dumps(measured(server, database, way)), flush=True)


if __name__ == "__main__":
    main()
