"""200 jobs at a server that is slow, fails, restarts and forgets jobs, with workers that are killed.

The tests check the job server's journal: the time of each request, and the token and outcome of each job.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import processes
from tests.jobs.processes import PATIENCE, Running, running, wait_until
from tests.private_postgres import free_port
from tests.private_redis import private_redis
from tests.server import ROOT, running_server
from tests.site.processes import manage

pytestmark = pytest.mark.acceptance

ACTIONS = 200
WORKERS = 3
KILLS = 5
QUOTA = 20
READS, WRITES = {"qps": 60, "burst": 60}, {"qps": 25, "burst": 20}
FOREVER = 100_000
TIMEOUT_SECONDS = 240.0
# Delay of a call after the rate limiter admitted it: a loaded machine, and the threads of the server.
MAX_DELAY_SECONDS = 4.0


def configuration(job_server: str) -> str:
    lines = {
        "services.ci.submitUrl": f"{job_server}/jobs",
        "services.ci.pollUrl": f"{job_server}/jobs/{{id}}",
        "services.ci.cancelUrl": f"{job_server}/jobs/{{id}}",
        "services.ci.output": "output",
        "requestTimeout": "2s",
        "callTimeout": "3s",
        "resourceQuotas.ci": QUOTA,
        "caching.resyncInterval": "400ms",
        "caching.maxSystemFailures": 12,
        "readRateLimiter.qps": READS["qps"],
        "readRateLimiter.burst": READS["burst"],
        "writeRateLimiter.qps": WRITES["qps"],
        "writeRateLimiter.burst": WRITES["burst"],
    }
    return "\n".join(f"webapi.HttpJob.{name}={value}" for name, value in lines.items())


def flow(name: str, **options: Any) -> dict[str, Any]:
    """Build a flow that runs a job for each event of this name, with its payload as parameters."""
    parameters = {key: f"{{{{ Event.Payload.{key} }}}}" for key in ("seconds", "ends")}
    command = {"packName": "HttpJob", "name": "Run", "input": {"service": "ci", "parameters": parameters}, **options}
    return {"name": name, "steps": [{"id": "job", "event": {"packName": "Src", "name": name}, "command": command}]}


@dataclass
class JobServer:
    """The process of the job server, and its journal."""

    port: int
    journal: Path
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.starts += 1
        command = [sys.executable, "-m", "tests.hosted.job_server", str(self.port), str(self.journal), str(self.starts)]
        self.process = processes.start(command, cwd=ROOT)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def entries(self) -> list[dict[str, Any]]:
        """Return the complete entries of the journal; the last line may be incomplete."""
        text = self.journal.read_text() if self.journal.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def entries_of(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries() if entry["what"] == kind]


@contextmanager
def job_server(folder: Path) -> Iterator[JobServer]:
    server = JobServer(free_port(), folder / "journal")
    try:
        server.start()
        yield server
    finally:
        server.kill()


@dataclass
class WorkerPool:
    """Workers that are killed and replaced."""

    folder: Path
    environment: dict[str, str]
    stack: ExitStack
    workers: list[Running] = field(default_factory=list)

    def start_worker(self) -> None:
        self.workers.append(self.stack.enter_context(running(self.folder, self.environment, "worker")))

    def kill_one(self, chance: random.Random) -> None:
        worker = self.workers.pop(chance.randrange(len(self.workers)))
        worker.process.send_signal(signal.SIGKILL)
        worker.process.wait()
        self.start_worker()

    def count_in_logs(self, words: str) -> int:
        return sum(path.read_text(errors="replace").count(words) for path in self.folder.glob("process-*.log"))


@dataclass
class CrashWorld:
    http: httpx.Client
    jobs: JobServer
    pool: WorkerPool

    def post(self, path: str, body: Any = None) -> None:
        response = self.http.post(path, json=body)
        assert response.status_code in (201, 202, 204), response.text

    def is_running(self) -> bool:
        """Return True as long as an execution runs. Fetch only one, because this is called often."""
        return self.executions(state="running", limit="1") != []

    def executions(self, **filters: str) -> list[Any]:
        response = self.http.get("/v1/audit/flows", params={"limit": "500", **filters})
        assert response.status_code == 200, response.text
        return list(response.json()["flows"])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CrashWorld]:
    with ExitStack() as stack:
        redis = stack.enter_context(private_redis())
        jobs = stack.enter_context(job_server(tmp_path))
        variables = {
            "FLYTE_REDIS_URL": redis.url,
            "FLYTE_WEBAPI_PLUGINS": "HttpJob",
            "FLYTE_WEBAPI_ALLOWED_HOSTS": "127.0.0.0/8",
            "FLYTE_WEBAPI_CONFIG": configuration(jobs.url),
        }
        server = stack.enter_context(running_server(tmp_path, variables))
        workers = WorkerPool(tmp_path, server.environment, stack)
        for _ in range(WORKERS):
            workers.start_worker()
        stack.enter_context(running(tmp_path, server.environment, "beat"))
        http = stack.enter_context(httpx.Client(base_url=server.url, trust_env=False, timeout=60))
        yield CrashWorld(http, jobs, workers)


def test_every_action_finishes_once_within_limits_and_nothing_is_left(world: CrashWorld, tmp_path: Path) -> None:
    chance = random.Random(20261121)
    world.post("/v1/packs", {"name": "Src", "events": [{"name": "quick"}, {"name": "endless"}]})
    world.post("/v1/flows", flow("quick"))
    world.post("/v1/flows", flow("endless", timeout="12s"))
    for number in range(ACTIONS):
        endless = number % 10 == 0
        payload = {
            "seconds": FOREVER if endless else round(chance.uniform(0, 1.5), 2),
            "ends": chance.choice(["succeeded"] * 4 + ["failed"]),
        }
        world.post("/v1/packs/Src/events", {"event": "endless" if endless else "quick", "payload": payload})
    break_things(world, chance)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while world.is_running():
        assert time.monotonic() < deadline, world.executions(state="running")
        time.sleep(0.2)
    check_nothing_is_left(world, tmp_path)
    check_results_match_jobs(world)
    check_no_token_submitted_twice(world.jobs)
    check_quota(world.jobs)
    check_rates(world.jobs)
    assert world.pool.count_in_logs("Traceback") == 0


def break_things(world: CrashWorld, chance: random.Random) -> None:
    """Kill workers, restart the job server and cancel executions, with progress in between."""
    cancelled = 0
    for round in range(KILLS):
        before = len(world.jobs.entries_of("submitted"))
        goal = min(before + ACTIONS // (KILLS + 2), ACTIONS)
        wait_until(
            lambda goal=goal: len(world.jobs.entries_of("submitted")) >= goal or not world.is_running(),  # type: ignore[misc]
            lambda: f"{len(world.jobs.entries_of('submitted'))} submissions\n{world.pool.workers[-1].log()[-3000:]}",
        )
        world.pool.kill_one(chance)
        if round in (1, 3):
            world.jobs.kill()
            world.jobs.start()
        running_executions = world.executions(state="running")
        for execution in chance.sample(running_executions, min(4, len(running_executions))):
            if world.http.post(f"/v1/audit/flows/{execution['correlationId']}/cancel").status_code == 204:
                cancelled += 1
    assert cancelled > 0


def check_nothing_is_left(world: CrashWorld, folder: Path) -> None:
    """Check that no row is left, and no job runs without an action."""
    # The process waits, because each start takes a second of processor time.
    script = f"""
import time
from packs.models import HostedResource
deadline = time.monotonic() + {PATIENCE / 2}
while HostedResource.objects.exists() and time.monotonic() < deadline:
    time.sleep(0.1)
print('rows', *HostedResource.objects.values())
"""

    def rows() -> str:
        output = manage("shell", "--no-imports", "-c", script, folder=folder, environment=world.pool.environment)
        assert "rows" in output.stdout, output.stderr
        return output.stdout.partition("rows")[2].strip()

    # A delete is retried 30 seconds after several consecutive failures.
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while remaining := rows():
        assert time.monotonic() < deadline, f"{remaining}\n{world.pool.workers[-1].log()[-3000:]}"
    ended = {entry["id"] for kind in ("cancelled", "forgotten") for entry in world.jobs.entries_of(kind)}
    endless = {entry["id"] for entry in world.jobs.entries_of("submitted") if entry["seconds"] == FOREVER}
    assert endless - ended == set()


def check_results_match_jobs(world: CrashWorld) -> None:
    entries = world.jobs.entries()
    by_token = {entry["token"]: entry for entry in entries if entry["what"] == "submitted"}
    forgotten = {entry["id"] for entry in entries if entry["what"] == "forgotten"}
    executions = world.executions()
    assert len(executions) == ACTIONS
    seen: Counter[str] = Counter()
    for execution in executions:
        action = execution["actions"]["job"]
        if execution.get("cancelled"):
            seen["cancelled"] += 1
            continue
        result, job = action["result"], by_token[f"{action['id']}-1"]
        seen[result["event"]] += 1
        if result["event"] == "FATAL":
            lost = result["payload"]["reason"] == "system failures" and job["id"] in forgotten
            assert lost or (result["payload"]["reason"] == "timeout" and job["seconds"] == FOREVER), result
            continue
        assert result["event"] == {"succeeded": "JobSucceeded", "failed": "JobFailed"}[job["ends"]]
        assert result["payload"]["output"]["token"] == f"{action['id']}-1"
    assert min(seen[name] for name in ("cancelled", "FATAL", "JobSucceeded", "JobFailed")) > 0, seen


def check_no_token_submitted_twice(jobs: JobServer) -> None:
    tokens = Counter(entry["token"] for entry in jobs.entries_of("submitted"))
    assert {token: count for token, count in tokens.items() if count > 1} == {}
    assert "" not in tokens
    assert jobs.entries_of("repeated"), "no response was lost, so the test is void"


def check_quota(jobs: JobServer) -> None:
    """Check that the number of concurrent jobs never exceeded the quota."""
    ends: dict[str, float] = {}
    begins: dict[str, float] = {}
    for entry in jobs.entries():
        if entry["what"] == "submitted":
            begins[entry["id"]], ends[entry["id"]] = entry["at"], entry["at"] + entry["seconds"]
        elif entry["what"] in ("cancelled", "forgotten"):
            ends[entry["id"]] = min(ends[entry["id"]], entry["at"])
    max_concurrent = max(sum(1 for job in begins if begins[job] <= at < ends[job]) for at in begins.values())
    assert QUOTA / 2 <= max_concurrent <= QUOTA


def check_rates(jobs: JobServer) -> None:
    """Check that calls never exceeded burst and rate."""
    for kind, rate in (("read", READS), ("write", WRITES)):
        times = [entry["at"] for entry in jobs.entries_of("asked") if entry["kind"] == kind]
        assert len(times) > rate["burst"]
        assert len(times) <= rate["burst"] + rate["qps"] * (times[-1] - times[0] + MAX_DELAY_SECONDS)
        for seconds in (1.0, 5.0):
            first = 0
            for last, at in enumerate(times):
                while times[first] < at - seconds:
                    first += 1
                assert last - first + 1 <= rate["burst"] + rate["qps"] * (seconds + MAX_DELAY_SECONDS)
