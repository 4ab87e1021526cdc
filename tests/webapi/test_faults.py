"""200 jobs at a server that is slow, fails, restarts and forgets, by workers that are killed: what the journal says.

The job server's journal is the witness: what it was asked when, which jobs it began under which token, and what became
of each.
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
from tests.jobs.processes import Running, running, wait_until
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
FOR_EVER = 100_000
PATIENCE = 240.0
# A call may reach the server this long after it was let out: a loaded machine, and the server's own threads.
LATE_SECONDS = 4.0


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
    """Each event of this name runs a job with the event's payload as parameters."""
    parameters = {key: f"{{{{ Event.Payload.{key} }}}}" for key in ("seconds", "ends")}
    command = {"packName": "HttpJob", "name": "Run", "input": {"service": "ci", "parameters": parameters}, **options}
    return {"name": name, "steps": [{"id": "job", "event": {"packName": "Src", "name": name}, "command": command}]}


@dataclass
class JobServer:
    """The job server's process, and what its journal says."""

    port: int
    journal: Path
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.starts += 1
        command = [sys.executable, "-m", "tests.webapi.job_server", str(self.port), str(self.journal), str(self.starts)]
        self.process = processes.start(command, cwd=ROOT)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def entries(self) -> list[dict[str, Any]]:
        """What it has written. The last line may be half of one."""
        text = self.journal.read_text() if self.journal.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def what(self, what: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries() if entry["what"] == what]


@contextmanager
def job_server(folder: Path) -> Iterator[JobServer]:
    server = JobServer(free_port(), folder / "journal")
    try:
        server.start()
        yield server
    finally:
        server.kill()


@dataclass
class Crew:
    """Workers that are killed and replaced."""

    folder: Path
    environment: dict[str, str]
    stack: ExitStack
    workers: list[Running] = field(default_factory=list)

    def hire(self) -> None:
        self.workers.append(self.stack.enter_context(running(self.folder, self.environment, "worker")))

    def kill_one(self, chance: random.Random) -> None:
        worker = self.workers.pop(chance.randrange(len(self.workers)))
        worker.process.send_signal(signal.SIGKILL)
        worker.process.wait()
        self.hire()

    def said(self, words: str) -> int:
        return sum(path.read_text(errors="replace").count(words) for path in self.folder.glob("process-*.log"))


@dataclass
class World:
    http: httpx.Client
    jobs: JobServer
    crew: Crew

    def post(self, path: str, body: Any = None) -> None:
        answer = self.http.post(path, json=body)
        assert answer.status_code in (201, 202, 204), answer.text

    def executions(self, **filters: str) -> list[Any]:
        answer = self.http.get("/v1/audit/flows", params={"limit": "500", **filters})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["flows"])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
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
        crew = Crew(tmp_path, server.environment, stack)
        for _ in range(WORKERS):
            crew.hire()
        stack.enter_context(running(tmp_path, server.environment, "beat"))
        http = stack.enter_context(httpx.Client(base_url=server.url, trust_env=False, timeout=60))
        yield World(http, jobs, crew)


def test_every_action_ends_rightly_and_nothing_is_left_doubled_or_too_much(world: World, tmp_path: Path) -> None:
    chance = random.Random(20261121)
    world.post("/v1/packs", {"name": "Src", "events": [{"name": "quick"}, {"name": "endless"}]})
    world.post("/v1/flows", flow("quick"))
    world.post("/v1/flows", flow("endless", timeout="12s"))
    for number in range(ACTIONS):
        endless = number % 10 == 0
        payload = {
            "seconds": FOR_EVER if endless else round(chance.uniform(0, 1.5), 2),
            "ends": chance.choice(["succeeded"] * 4 + ["failed"]),
        }
        world.post("/v1/packs/Src/events", {"event": "endless" if endless else "quick", "payload": payload})
    break_things(world, chance)
    deadline = time.monotonic() + PATIENCE
    while world.executions(state="running"):
        assert time.monotonic() < deadline, world.executions(state="running")
        time.sleep(0.2)
    nothing_is_left(world, tmp_path)
    every_action_ended_as_its_job(world)
    no_token_was_submitted_twice(world.jobs)
    the_quota_held(world.jobs)
    the_rates_held(world.jobs)
    assert world.crew.said("Traceback") == 0


def break_things(world: World, chance: random.Random) -> None:
    """Kill workers, restart the job server, cancel executions – each once something has happened since."""
    cancelled = 0
    for round in range(KILLS):
        before = len(world.jobs.what("submitted"))
        goal = min(before + ACTIONS // (KILLS + 2), ACTIONS)
        wait_until(
            lambda goal=goal: len(world.jobs.what("submitted")) >= goal or not world.executions(state="running"),  # type: ignore[misc]
            lambda: f"{len(world.jobs.what('submitted'))} submissions\n{world.crew.workers[-1].log()[-3000:]}",
        )
        world.crew.kill_one(chance)
        if round in (1, 3):
            world.jobs.kill()
            world.jobs.start()
        left = world.executions(state="running")
        for execution in chance.sample(left, min(4, len(left))):
            if world.http.post(f"/v1/audit/flows/{execution['correlationId']}/cancel").status_code == 204:
                cancelled += 1
    assert cancelled > 0


def nothing_is_left(world: World, folder: Path) -> None:
    """No row is left, and no job runs on that nobody waits for."""
    told = "from packs.models import HostedResource; print('rows', *HostedResource.objects.values())"

    def rows() -> str:
        shown = manage("shell", "--no-imports", "-c", told, folder=folder, environment=world.crew.environment)
        assert "rows" in shown.stdout, shown.stderr
        return shown.stdout.partition("rows")[2].strip()

    # A delete that failed several times in a row is tried again half a minute later.
    deadline = time.monotonic() + PATIENCE
    while left := rows():
        assert time.monotonic() < deadline, f"{left}\n{world.crew.workers[-1].log()[-3000:]}"
    over = {entry["id"] for what in ("cancelled", "forgotten") for entry in world.jobs.what(what)}
    endless = {entry["id"] for entry in world.jobs.what("submitted") if entry["seconds"] == FOR_EVER}
    assert endless - over == set()


def every_action_ended_as_its_job(world: World) -> None:
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
            assert lost or (result["payload"]["reason"] == "timeout" and job["seconds"] == FOR_EVER), result
            continue
        assert result["event"] == {"succeeded": "JobSucceeded", "failed": "JobFailed"}[job["ends"]]
        assert result["payload"]["output"]["token"] == f"{action['id']}-1"
    assert min(seen[name] for name in ("cancelled", "FATAL", "JobSucceeded", "JobFailed")) > 0, seen


def no_token_was_submitted_twice(jobs: JobServer) -> None:
    tokens = Counter(entry["token"] for entry in jobs.what("submitted"))
    assert {token: count for token, count in tokens.items() if count > 1} == {}
    assert "" not in tokens
    assert jobs.what("repeated"), "no answer got lost: the test tested nothing"


def the_quota_held(jobs: JobServer) -> None:
    """At no moment more jobs ran than the quota allows."""
    ends: dict[str, float] = {}
    begins: dict[str, float] = {}
    for entry in jobs.entries():
        if entry["what"] == "submitted":
            begins[entry["id"]], ends[entry["id"]] = entry["at"], entry["at"] + entry["seconds"]
        elif entry["what"] in ("cancelled", "forgotten"):
            ends[entry["id"]] = min(ends[entry["id"]], entry["at"])
    at_once = max(sum(1 for job in begins if begins[job] <= at < ends[job]) for at in begins.values())
    assert QUOTA / 2 <= at_once <= QUOTA


def the_rates_held(jobs: JobServer) -> None:
    """In no time were there more calls than burst and rate allow."""
    for kind, rate in (("read", READS), ("write", WRITES)):
        times = [entry["at"] for entry in jobs.what("asked") if entry["kind"] == kind]
        assert len(times) > rate["burst"]
        assert len(times) <= rate["burst"] + rate["qps"] * (times[-1] - times[0] + LATE_SECONDS)
        for seconds in (1.0, 5.0):
            first = 0
            for last, at in enumerate(times):
                while times[first] < at - seconds:
                    first += 1
                assert last - first + 1 <= rate["burst"] + rate["qps"] * (seconds + LATE_SECONDS)
