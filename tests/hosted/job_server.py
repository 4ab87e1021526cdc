"""A job server in a separate process: slow and failing, with all its state in a journal.

    python -m tests.hosted.job_server PORT JOURNAL [FAULTS]

`POST /jobs` with an `Idempotency-Key` and `{"seconds", "ends"}` starts a job, `GET /jobs/ID` returns its state, and
`DELETE /jobs/ID` cancels it. Each request and its effect is a line of JSON in the journal, written before the response;
restarted with the same journal, the server continues, but forgets some jobs. With FAULTS, a seed, it responds late,
with errors, with 429, or not at all, before or after it has processed the request.
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
    """A job, which ends at `ends_at` (`time.time()`) in the state `ends`, unless it is cancelled."""

    token: str
    ends_at: float
    ends: str
    end_state: str = ""

    @property
    def state(self) -> str:
        return self.end_state or (self.ends if time.time() >= self.ends_at else "running")


class Jobs:
    """All jobs, restored from the journal."""

    def __init__(self, journal: Path) -> None:
        self.jobs: dict[str, Job] = {}
        self.by_token: dict[str, str] = {}
        self._lock = threading.Lock()
        journal.touch()
        for line in journal.read_text().splitlines():
            self._apply(json.loads(line))
        self._file = journal.open("a")

    def note(self, **entry: Any) -> None:
        """Write an entry, and apply it."""
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
            job.end_state = "cancelled"
        elif entry["what"] == "forgotten":
            self.jobs.pop(entry["id"], None)

    def forget(self, share: float, chance: random.Random) -> None:
        for job_id, job in list(self.jobs.items()):
            if job.state == "running" and chance.random() < share:
                self.note(what="forgotten", id=job_id)

    def submit(self, token: str, parameters: dict[str, Any]) -> str:
        with self._lock:
            if token in self.by_token:
                self.note(what="repeated", token=token, id=self.by_token[token])
                return self.by_token[token]
            job_id = f"job-{len(self.by_token) + 1}"
            ends = parameters.get("ends", "succeeded")
            self.note(what="submitted", token=token, id=job_id, seconds=float(parameters.get("seconds", 0)), ends=ends)
            return job_id

    def cancel(self, job_id: str) -> None:
        with self._lock:
            if self.jobs[job_id].state == "running":
                self.note(what="cancelled", id=job_id)


class RandomFaults:
    """Random faults of requests; none without a seed."""

    def __init__(self, seed: int | None) -> None:
        self.chance = random.Random(seed)
        self._on = seed is not None

    def draw(self) -> str:
        """Draw a fault, or "": `slow` and `dropped` before the request is processed, the `after` ones later."""
        names = ("slow", "dropped", "503", "429", "slow after", "dropped after", "500 after", "")
        weights = (2, 2, 3, 2, 3, 3, 2, 83)
        return self.chance.choices(names, weights)[0] if self._on else ""


class Handler(BaseHTTPRequestHandler):
    jobs: Jobs
    faults: RandomFaults
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self._handle("write", lambda: self._submit(body))

    def do_GET(self) -> None:
        self._handle("read", self._get_job)

    def do_DELETE(self) -> None:
        self._handle("write", self._cancel)

    def _submit(self, body: dict[str, Any]) -> tuple[int, Any]:
        job_id = self.jobs.submit(self.headers.get("Idempotency-Key", ""), body)
        return 201, {"id": job_id}

    def _get_job(self) -> tuple[int, Any]:
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
        """Log nothing: the journal is enough."""


class JobHttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnected."""


def serve(port: int, journal: Path, seed: int | None = None, forget: float = 0.0) -> JobHttpServer:
    """Create a server on 127.0.0.1; the caller runs it."""
    faults = RandomFaults(seed)
    jobs = Jobs(journal)
    jobs.forget(forget, faults.chance)
    return JobHttpServer(("127.0.0.1", port), type("Bound", (Handler,), {"jobs": jobs, "faults": faults}))


if __name__ == "__main__":
    forget_share = 0.1 if Path(sys.argv[2]).exists() else 0.0
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else None
    serve(int(sys.argv[1]), Path(sys.argv[2]), seed, forget_share).serve_forever()
