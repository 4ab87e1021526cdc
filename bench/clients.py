"""Memory of the web processes: while strangers send large bodies, and with 5,000 idle packs in long polls.

Run `python -m bench.clients postgresql` or `sqlite`. Memory is the sum of the resident memory of all web processes, and
peaks are those of each process. The strangers have no token, and send chunked bodies without an end.
"""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from bench.databases import open_database
from bench.driver import KeepAliveConnection
from bench.idle import SETTLE_SECONDS, WAIT_SECONDS, Poller, poll
from bench.processes import cpu_seconds
from tests.server import Server, running_server

STRANGERS, BODY_BYTES = 100, 16 * 1024 * 1024
CHUNK = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
PACKS, MEASURED_SECONDS = 5000, 60.0
# The time for which the server could keep memory that it no longer needs.
PAUSE_SECONDS = 5.0
MAX_SETTLE_ROUNDS = 30


def find_workers(server: Server) -> list[Path]:
    """Return the folders in /proc of the web processes, which are the children of the server's process."""
    task = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [Path(f"/proc/{pid}") for pid in task.read_text().split()]


def read_memory(server: Server, name: str) -> int:
    """Sum a figure of the web processes' memory, in MB."""
    lines = [line for worker in find_workers(server) for line in (worker / "status").read_text().splitlines()]
    return round(sum(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1000)


def send_body(connection: socket.socket) -> None:
    head = b"POST /v1/packs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with suppress(OSError):
        connection.sendall(head)
        for _ in range(BODY_BYTES // 0x100000):
            connection.sendall(CHUNK)


def measure_bodies(server: Server) -> dict[str, Any]:
    before, port = read_memory(server, "VmRSS"), int(server.url.rpartition(":")[2])
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(STRANGERS)]
        senders = [Thread(target=send_body, args=[connection]) for connection in opened]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        peak = read_memory(server, "VmHWM")
    time.sleep(PAUSE_SECONDS)
    return {"strangers": STRANGERS, "before": before, "peak": peak, "after": read_memory(server, "VmRSS")}


@contextmanager
def idle_packs(server: Server) -> Iterator[list[Poller]]:
    """Register the packs, and let all of them wait in a long poll."""
    connection = KeepAliveConnection(server.host)
    for number in range(PACKS):
        connection.post_json("/v1/packs", {"name": "Idle", "labels": {"n": str(number)}})
    pollers = []
    for number in range(PACKS):
        pollers.append(Poller(server, number, f"?wait={WAIT_SECONDS}"))
        pollers[-1].send_poll()
    for _ in range(MAX_SETTLE_ROUNDS):
        poll(pollers, SETTLE_SECONDS, is_long_poll=True)
        if sum(poller.is_waiting for poller in pollers) == PACKS:
            break
    yield pollers
    for poller in pollers:
        poller.connection.close()


def measure_packs(server: Server) -> dict[str, Any]:
    before = read_memory(server, "VmRSS")
    with idle_packs(server) as pollers:
        cpu_before, times = cpu_seconds(server.process.pid), []
        background = Thread(target=poll, args=[pollers, MEASURED_SECONDS], kwargs={"is_long_poll": True})
        background.start()
        while background.is_alive():
            started = time.perf_counter()
            httpx.get(f"{server.url}/health", timeout=60).raise_for_status()
            times.append(time.perf_counter() - started)
            time.sleep(0.5)
        threads, waiting = read_threads(server), sum(poller.is_waiting for poller in pollers)
        spent, during = cpu_seconds(server.process.pid) - cpu_before, read_memory(server, "VmRSS")
    return {
        "packs": PACKS,
        "waiting at the end": waiting,
        "threads": threads,
        "before": before,
        "during": during,
        "% of a core": round(spent / MEASURED_SECONDS * 100, 1),
        "/health, median ms": round(sorted(times)[len(times) // 2] * 1000, 1),
    }


def read_threads(server: Server) -> int:
    return sum(len(list((worker / "task").iterdir())) for worker in find_workers(server))


def main() -> None:
    """Print a line of JSON for each kind of client."""
    strangers, many = {"FLYTE_AUTH": "tokens"}, {"FLYTE_WEB_WORKERS": "4", "FLYTE_WEB_THREADS": "1350"}
    with open_database() as database:
        for measure, variables in ((measure_bodies, strangers), (measure_packs, many)):
            with running_server(database.folder, {"LOGLEVEL": "ERROR", **variables}) as server:
                print(json.dumps({"database": database.name, **measure(server)}), flush=True)


if __name__ == "__main__":
    main()
