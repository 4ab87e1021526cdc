"""Processor time of a flow by request, sequentially in one process and without HTTP.

*request*: the whole WSGI application. *pack*: the lookup of the calling pack. *engine*: `flows.engine` and
`packs.queue`, including the database client. The remaining time is spent in the framework and on HTTP itself.
Run `python -m bench.in_process sqlite parts` or `postgresql`.
"""

import io
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from django.test import RequestFactory
from django.utils import timezone

from bench.flows import FLOW_DOCUMENT, RESULT_BODY
from bench.in_process import print_row
from flows.definition import parse_flow, store
from flows.engine.complete import complete_action
from flows.engine.handle_event import handle_event
from flows.engine.step import EventSource, IncomingEvent
from flyte_site.core.observability.metrics import use_shared_directory
from flyte_site.wsgi import application
from packs import registry
from packs.models import Pack
from packs.queue.take import take

WARMUP_FLOWS, MEASURED_FLOWS = 100, 600
EVENT_BODY = b'{"event":"Go","payload":{"who":"ann","at":"1"}}'
REQUESTS = ("event", "first take", "first result", "second take", "second result", "take of nothing")
ANONYMOUS_REQUEST = RequestFactory().post("/")


class CPUClock:
    """Processor time that this thread spent on parts, in seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def time(self, name: str, call: Callable[..., Any], *arguments: Any) -> Any:
        start = time.thread_time()
        result = call(*arguments)
        self.seconds[name].append(time.thread_time() - start)
        return result

    def microseconds(self, name: str) -> int:
        return round(median(self.seconds[name][WARMUP_FLOWS:]) * 1e6)


def send_request(path: str, body: bytes = b"") -> bytes:
    """Send a request in the form that gunicorn passes on; return the body of the response. Raises `ValueError`."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "RAW_URI": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:8080",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }
    status: list[str] = []
    response: Any = application(environ, lambda line, headers, error=None: status.append(line))
    response_body = b"".join(response)
    response.close()
    if status[0][0] != "2":
        raise ValueError(f"unexpected response to {path}: {status[0]} {response_body!r}")
    return response_body


def run_over_wsgi(clock: CPUClock) -> None:
    """Run a flow by its requests, and a take without an action."""
    clock.time("event", send_request, "/v1/packs/Source/events", EVENT_BODY)
    for name in ("first", "second"):
        taken = clock.time(f"{name} take", send_request, "/v1/packs/Worker/actions/take")
        link = taken.partition(b'"href":"http://')[2].partition(b'"')[0].decode()
        clock.time(f"{name} result", send_request, f"/{link.partition('/')[2]}", RESULT_BODY)
    clock.time("take of nothing", send_request, "/v1/packs/Worker/actions/take")


def run_engine(clock: CPUClock) -> None:
    """Run the same with the functions that the views call."""
    source = clock.time("pack", registry.authenticate_pack, "Source", ANONYMOUS_REQUEST)
    clock.time("event", handle_event, build_event(source, "Go", {"who": "ann", "at": "1"}))
    worker = registry.authenticate_pack("Worker", ANONYMOUS_REQUEST)
    for name in ("first", "second"):
        action = clock.time(f"{name} take", take, worker)
        clock.time(f"{name} result", complete_action, action.id, worker, build_event(worker, "Done", {"n": 1}))
    clock.time("take of nothing", take, worker)


def build_event(pack: Pack, name: str, payload: Any) -> IncomingEvent:
    now = timezone.now()
    return IncomingEvent(EventSource.of_pack(pack), name, payload, now, now)


def main(database: str, arguments: Sequence[str]) -> None:
    """Print a line of JSON for each request."""
    with tempfile.TemporaryDirectory(prefix="flyte-bench-") as folder:
        use_shared_directory(folder)
        for name in ("Source", "Worker"):
            registry.register({"name": name, "labels": {}, "commands": [], "events": [], "links": []})
        store.save_flow(parse_flow(FLOW_DOCUMENT), source="", media_type="", note="", expected_version_id=None)
        wsgi_clock, engine_clock = CPUClock(), CPUClock()
        for _ in range(WARMUP_FLOWS + MEASURED_FLOWS):
            run_over_wsgi(wsgi_clock)
            run_engine(engine_clock)
        for name in REQUESTS:
            figures = {"request µs": wsgi_clock.microseconds(name), "pack µs": engine_clock.microseconds("pack")}
            print_row(database=database, request=name, **figures, **{"engine µs": engine_clock.microseconds(name)})
