"""Where the processor time of a flow goes, one request after another, in one process and without HTTP.

*request*: the whole WSGI application. *pack*: looking up who calls. *engine*: what `flows.engine` and `packs.queue` do
with it, the database's client in it. What is neither is the framework's, and reading and writing HTTP's own texts.
`python -m bench.inside sqlite parts` or `postgresql`.
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

from bench.flows import DOCUMENT, RESULT
from bench.inside import tell
from flows import engine, saving
from flows.document import parse_flow
from flows.steps import Event, PackSeen
from flyte_site.meters import share
from flyte_site.wsgi import application
from packs import queue, registry
from packs.models import Pack

WARM, TIMES = 100, 600
EVENT = b'{"event":"Go","payload":{"who":"ann","at":"1"}}'
REQUESTS = ("event", "first take", "first result", "second take", "second result", "take of nothing")
NOBODY = RequestFactory().post("/")


class Clock:
    """Seconds of the processor that this thread spent on parts, by their names."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = defaultdict(list)

    def time(self, name: str, call: Callable[..., Any], *arguments: Any) -> Any:
        began = time.thread_time()
        result = call(*arguments)
        self.spent[name].append(time.thread_time() - began)
        return result

    def microseconds(self, name: str) -> int:
        return round(median(self.spent[name][WARM:]) * 1e6)


def ask(path: str, body: bytes = b"") -> bytes:
    """A request as gunicorn would hand it over; its answer's body."""
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
    answer: Any = application(environ, lambda line, headers, error=None: status.append(line))
    whole = b"".join(answer)
    answer.close()
    if status[0][0] != "2":
        raise ValueError(f"{path} was answered {status[0]} {whole!r}")
    return whole


def whole_flow(clock: Clock) -> None:
    """A flow by its requests, and a take that finds nothing."""
    clock.time("event", ask, "/v1/packs/Source/events", EVENT)
    for name in ("first", "second"):
        taken = clock.time(f"{name} take", ask, "/v1/packs/Worker/actions/take")
        link = taken.partition(b'"href":"http://')[2].partition(b'"')[0].decode()
        clock.time(f"{name} result", ask, f"/{link.partition('/')[2]}", RESULT)
    clock.time("take of nothing", ask, "/v1/packs/Worker/actions/take")


def inner_flow(clock: Clock) -> None:
    """The same by what the views call."""
    source = clock.time("pack", registry.acting, "Source", NOBODY)
    clock.time("event", engine.handle_event, event_of(source, "Go", {"who": "ann", "at": "1"}))
    worker = registry.acting("Worker", NOBODY)
    for name in ("first", "second"):
        action = clock.time(f"{name} take", queue.take, worker)
        clock.time(f"{name} result", engine.complete, action.id, worker, event_of(worker, "Done", {"n": 1}))
    clock.time("take of nothing", queue.take, worker)


def event_of(pack: Pack, name: str, payload: Any) -> Event:
    now = timezone.now()
    return Event(PackSeen(pack.identity, pack.name, pack.labels), name, payload, now, now)


def main(database: str, arguments: Sequence[str]) -> None:
    """Measure, and print a line of JSON for each request."""
    with tempfile.TemporaryDirectory(prefix="flyte-bench-") as folder:
        share(folder)
        for name in ("Source", "Worker"):
            registry.register({"name": name, "labels": {}, "commands": [], "events": [], "links": []})
        saving.save(parse_flow(DOCUMENT), source="", media_type="", note="", expected=None)
        whole, inner = Clock(), Clock()
        for _ in range(WARM + TIMES):
            whole_flow(whole)
            inner_flow(inner)
        for name in REQUESTS:
            shares = {"request µs": whole.microseconds(name), "pack µs": inner.microseconds("pack")}
            tell(database=database, request=name, **shares, **{"engine µs": inner.microseconds(name)})
