"""The cost of HTTP: gunicorn configured as in the server, with an application that only reads the request.

Run `python -m bench.http_baseline`; it measures with one and with eight concurrent callers.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

from bench.driver import KeepAliveConnection
from bench.flows import CALLERS
from bench.processes import cpu_seconds
from tests.private_postgres import free_port

REQUESTS = 6000
START_TIMEOUT_SECONDS = 60
BODY = b'{"event":"Go","payload":{"who":"ann"}}'
GUNICORN_OPTIONS = ("--workers", "2", "--worker-class", "gthread", "--threads", "320", "--keep-alive", "75")


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Respond with 202 to every request."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("202 Accepted", [("Content-Length", "0")])
    return []


@contextmanager
def serve() -> Iterator[tuple[str, int]]:
    """Serve the application during the block; yield its address and process id."""
    host = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "gunicorn", *GUNICORN_OPTIONS, "--bind", host, "bench.http_baseline:application"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(host)
            yield host, process.pid
        finally:
            process.terminate()


def _wait_for(host: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        try:
            return KeepAliveConnection(host).close()
        except OSError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)


def send_requests(host: str, requests: int) -> None:
    with closing(KeepAliveConnection(host)) as connection:
        for _ in range(requests):
            connection.post("/v1/packs/Source/events", BODY)


def measure(host: str, process: int, callers: int) -> dict[str, Any]:
    cpu_before, driver_before, start = cpu_seconds(process), time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(send_requests, [host] * callers, [REQUESTS // callers] * callers))
    return {
        "callers": callers,
        "requests/s": round(REQUESTS / (time.perf_counter() - start)),
        "server µs/request": round((cpu_seconds(process) - cpu_before) / REQUESTS * 1e6),
        "driver µs/request": round((time.process_time() - driver_before) / REQUESTS * 1e6),
    }


def main() -> None:
    """Print a line of JSON for each number of callers."""
    with serve() as (host, process):
        measure(host, process, CALLERS)
        for callers in (1, CALLERS):
            print(json.dumps(measure(host, process, callers)), flush=True)


if __name__ == "__main__":
    main()
