"""Modules of the server that an event, a take and a result pass through, and the switches between modules.

*modules*: first-party modules with a called function. *switches*: calls of a first-party function in a different module
than the previous one. Both are counted in a process with warm caches. *request*: the whole WSGI application; *engine*:
the functions that the views call. Run `python -m bench.in_process sqlite switches` or `postgresql`; the argument
`trace` also prints the calls.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from bench.flows import FLOW_DOCUMENT
from bench.in_process import print_row
from bench.parts import CPUClock, run_engine, run_over_wsgi
from flows.definition import parse_flow, store
from flyte_site.core.observability.metrics import use_shared_directory
from packs import registry

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("audit", "datastore", "flows", "flyte_site", "packs")
WARMUP_RUNS = 3
REQUESTS = ("event", "first take", "first result")


class CallTrace(CPUClock):
    """A clock that records the called first-party functions by request, instead of processor time."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[tuple[str, str]]] = {}

    def time(self, name: str, call: Callable[..., Any], *arguments: Any) -> Any:
        calls: list[tuple[str, str]] = []
        self.calls[name] = calls
        sys.setprofile(lambda frame, event, _: _record_call(calls, frame) if event == "call" else None)
        try:
            return call(*arguments)
        finally:
            sys.setprofile(None)

    def modules(self, name: str) -> list[str]:
        """Return the modules of the calls in order, without consecutive duplicates."""
        modules = [module for module, _ in self.calls[name]]
        return [module for module, previous in zip(modules, ["", *modules], strict=False) if module != previous]


def _record_call(calls: list[tuple[str, str]], frame: FrameType) -> None:
    code = frame.f_code
    if not code.co_filename.startswith(str(ROOT)):
        return
    module = Path(code.co_filename).relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    if module.partition(".")[0] in PACKAGES:
        calls.append((module, code.co_qualname))


def main(database: str, arguments: Sequence[str]) -> None:
    """Print a line of JSON for each request."""
    with tempfile.TemporaryDirectory(prefix="flyte-bench-") as folder:
        use_shared_directory(folder)
        for name in ("Source", "Worker"):
            registry.register({"name": name, "labels": {}, "commands": [], "events": [], "links": []})
        store.save_flow(parse_flow(FLOW_DOCUMENT), source="", media_type="", note="", expected_version_id=None)
        request_trace, engine_trace = CallTrace(), CallTrace()
        for _ in range(WARMUP_RUNS):
            run_over_wsgi(request_trace)
            run_engine(engine_trace)
    for part, trace in (("request", request_trace), ("engine", engine_trace)):
        for name in REQUESTS:
            modules = trace.modules(name)
            print_row(database=database, part=part, request=name, modules=len(set(modules)), switches=len(modules))
            if "trace" in arguments:
                for module, function in trace.calls[name]:
                    print(f"    {module}  {function}")
