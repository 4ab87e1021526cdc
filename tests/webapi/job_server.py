"""A job server as a process of its own: slow, failing, and what it knows it knows from its journal.

    python -m tests.webapi.job_server PORT JOURNAL [FAULTS]

`POST /jobs` with an `Idempotency-Key` and `{"seconds", "ends"}` begins a job, `GET /jobs/ID` tells its state, and
`DELETE /jobs/ID` ends it. Each request and what came of it is a line of JSON in the journal, written before the answer;
started again on the same journal, it goes on where it was, but for some jobs, which it forgets. With FAULTS, a seed, it
answers late, with errors, with 429, or not at all – before or after it has done what was asked.
"""

import json
import random
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SLOW_SECONDS = 2.5


@dataclass
class Job:
    """A job: when it ends by itself (`time.time()`), and in which state."""

    token: str
    ends_at: float
    ends: str
    over: str = ""

    @property
    def state(self) -> str:
        return self.over or (self.ends if time.time() >= self.ends_at else "running")


class Jobs:
    """All jobs, as the journal has them."""

    def __init__(self, journal: Path) -> None:
        self.jobs: dict[str, Job] = {}
        self.by_token: dict[str, str] = {}
        self._lock = threading.Lock()
        journal.touch()
        for line in journal.read_text().splitlines():
            self._apply(json.loads(line))
        self._file = journal.open("a")

    def note(self, **entry: Any) -> None:
        """Write a line, and do what it says."""
        entry["at"] = time.time()
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        self._apply(entry)

    def _apply(self, entry: dict[str, Any]) -> None:
        job = self.jobs.get(entry.get("id", ""))
        if entry["what"] == "submitted":
            self.jobs[entry["id"]] = Job(entry["token"], entry["at"] + entry["seconds"], entry["ends"])
            self.by_token.setdefault(entry["token"], entry["id"])
        elif entry["what"] == "cancelled" and job:
            job.over = "cancelled"
        elif entry["what"] == "forgotten":
            self.jobs.pop(entry["id"], None)

    def forget(self, share: float, chance: random.Random) -> None:
        for job_id, job in list(self.jobs.items()):
            if job.state == "running" and chance.random() < share:
                self.note(what="forgotten", id=job_id)

    def submit(self, token: str, wanted: dict[str, Any]) -> str:
        with self._lock:
            if token in self.by_token:
                self.note(what="repeated", token=token, id=self.by_token[token])
                return self.by_token[token]
            job_id = f"job-{len(self.by_token) + 1}"
            ends = wanted.get("ends", "succeeded")
            self.note(what="submitted", token=token, id=job_id, seconds=float(wanted.get("seconds", 0)), ends=ends)
            return job_id

    def cancel(self, job_id: str) -> None:
        with self._lock:
            if self.jobs[job_id].state == "running":
                self.note(what="cancelled", id=job_id)


class Faults:
    """What goes wrong with a request; nothing without a seed."""

    def __init__(self, seed: int | None) -> None:
        self.chance = random.Random(seed)
        self._on = seed is not None

    def draw(self) -> str:
        """A fault, or none: `slow` and `dropped` before anything is done, the `after` ones when all is."""
        names = ("slow", "dropped", "503", "429", "slow after", "dropped after", "500 after", "")
        weights = (2, 2, 3, 2, 3, 3, 2, 83)
        return self.chance.choices(names, weights)[0] if self._on else ""


class Handler(BaseHTTPRequestHandler):
    jobs: Jobs
    faults: Faults
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self._handle("write", lambda: self._submit(body))

    def do_GET(self) -> None:
        self._handle("read", self._look)

    def do_DELETE(self) -> None:
        self._handle("write", self._cancel)

    def _submit(self, body: dict[str, Any]) -> tuple[int, Any]:
        job_id = self.jobs.submit(self.headers.get("Idempotency-Key", ""), body)
        return 201, {"id": job_id}

    def _look(self) -> tuple[int, Any]:
        job = self.jobs.jobs.get(self.path.rpartition("/")[2])
        return (200, {"state": job.state, "output": {"token": job.token}}) if job else (404, {"error": "no such job"})

    def _cancel(self) -> tuple[int, Any]:
        job_id = self.path.rpartition("/")[2]
        if job_id not in self.jobs.jobs:
            return 404, {"error": "no such job"}
        self.jobs.cancel(job_id)
        return 204, None

    def _handle(self, kind: str, work: Any) -> None:
        self.jobs.note(what="asked", kind=kind, method=self.command)
        fault = self.faults.draw()
        if fault == "dropped":
            return self._drop()
        if fault in ("503", "429"):
            return self._answer(int(fault), {"error": fault}, {"Retry-After": "1"} if fault == "429" else {})
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        status, body = work()
        if fault == "slow after":
            time.sleep(SLOW_SECONDS)
        if fault == "dropped after":
            return self._drop()
        if fault == "500 after":
            return self._answer(500, {"error": "late"}, {})
        return self._answer(status, body, {})

    def _drop(self) -> None:
        self.close_connection = True

    def _answer(self, status: int, body: Any, headers: dict[str, str]) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """The journal is enough."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that went away are no news."""


def serve(port: int, journal: Path, seed: int | None = None, forget: float = 0.0) -> Server:
    """A server on 127.0.0.1 that is to be run."""
    faults = Faults(seed)
    jobs = Jobs(journal)
    jobs.forget(forget, faults.chance)
    return Server(("127.0.0.1", port), type("Bound", (Handler,), {"jobs": jobs, "faults": faults}))


if __name__ == "__main__":
    forget_share = 0.1 if Path(sys.argv[2]).exists() else 0.0
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else None
    serve(int(sys.argv[1]), Path(sys.argv[2]), seed, forget_share).serve_forever()
