"""Beat and workers with a real Redis: each job runs once a tick, and an outage of Redis ends no process."""

import re
import secrets
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import override_settings

from flyte_site.celery import app, build_beat_schedule, build_config, to_broker_url
from flyte_site.jobs import get_scheduled_jobs
from flyte_site.management.commands.beat import STOP_SIGNALS, JobBeat, JobScheduler
from tests.jobs.processes import Running, running, wait_for_health, wait_until
from tests.private_postgres import free_port
from tests.private_redis import PrivateRedis, private_redis
from tests.server import migrated_database, server_environment
from tests.site.processes import manage

# The number of rows that each job changes at its first run.
DOABLE = {"end_leases": 3, "expire_executions": 4, "delete_dead_packs": 5, "forget_idempotency_keys": 7}
SEED = f"""
from datetime import timedelta
from django.utils import timezone
from flows.models import Execution, ReceivedKey
from flyte_site.models import JobRun
from packs.models import Action, Pack
from tests.flows import builders as b
long_ago = timezone.now() - timedelta(days=30)
doable = {DOABLE}
for name in doable:
    JobRun.objects.create(name=name, tick=long_ago)
source, worker = b.pack('Src'), b.pack('Wrk')
b.save(b.step())
for number in range(doable['expire_executions']):
    b.tell(source)
Execution.objects.update(changed_at=long_ago)
Action.objects.update(is_queued=False, state='SUCCESS')
for number in range(doable['end_leases']):
    b.tell(source)
    b.take(worker)
Action.objects.filter(state='PENDING').update(lease_ends_at=long_ago)
for number in range(doable['delete_dead_packs']):
    Pack.objects.create(identity=number, name='Dead', last_seen=long_ago)
for number in range(doable['forget_idempotency_keys']):
    ReceivedKey.objects.create(pack_identity='P', key=number, digest='', received_at=long_ago)
"""


@pytest.fixture(scope="module")
def redis() -> Iterator[PrivateRedis]:
    with private_redis() as started:
        yield started


@pytest.mark.acceptance
def test_two_beats_and_three_workers_run_each_job_once_a_tick(tmp_path: Path, redis: PrivateRedis) -> None:
    with migrated_database(tmp_path) as url, ExitStack() as stack:
        environment = server_environment(
            url,
            {
                "FLYTE_REDIS_URL": redis.url,
                "FLYTE_LEASE_CHECK_SECONDS": "1",
                "FLYTE_TTL_IN_SECONDS": f"{7 * 24 * 3600}",
                "FLYTE_SHOULD_DELETE_DEAD_PACKS": "true",
                "FLYTE_DELETE_DEAD_PACKS_AT_HH_COLON_MM": f"{datetime.now(UTC) - timedelta(minutes=1):%H:%M}",
                "TZ": "UTC",
                "LOGLEVEL": "DEBUG",
            },
        )
        seeded = manage("shell", "-c", SEED, folder=tmp_path, environment=environment)
        assert seeded.returncode == 0, seeded.stderr
        workers = [stack.enter_context(worker_with_a_log_file(tmp_path, environment)) for _ in range(3)]
        beats = [stack.enter_context(running(tmp_path, environment, "beat")) for _ in range(2)]
        for worker in workers:
            worker.wait_for("job_started job=end_leases")
        wait_until(lambda: {job for job, _ in effects(workers)} == set(DOABLE), lambda: f"all of {DOABLE}")
        for process in (*beats, *workers):
            assert process.stop() == 0
        listed = manage("jobs", "--list", folder=tmp_path, environment=environment).stdout
        logs = "".join(worker.log() for worker in workers)
    assert sorted(effects(workers)) == sorted(DOABLE.items())
    ticks = Counter(re.findall(r"job_started job=(\w+) tick=(\S+)", logs))
    assert set(ticks.values()) == {1}
    for name in DOABLE:
        runs = re.search(rf"^{name}: .*runs: (\d+)$", listed, re.MULTILINE)
        assert runs
        assert int(runs[1]) == sum(1 for job, _ in ticks if job == name) > 0


def effects(workers: list[Running]) -> list[tuple[str, int]]:
    """Return job and count of each run with a count above 0."""
    logs = "".join(worker.log() for worker in workers)
    return [(job, int(count)) for job, count in re.findall(r"job_done job=(\w+) count=([1-9]\d*)", logs)]


@contextmanager
def worker_with_a_log_file(folder: Path, environment: Mapping[str, str]) -> Iterator[Running]:
    """Run a worker whose log goes only to LOGFILE."""
    log_file = folder / f"worker-{secrets.token_hex(4)}.log"
    log_file.touch()
    with running(folder, {**environment, "LOGFILE": str(log_file)}, "worker") as started:
        yield Running(started.process, log_file)
    assert "level=" not in started.log()


@pytest.mark.acceptance
def test_jobs_continue_after_an_outage_of_redis(tmp_path: Path, redis: PrivateRedis) -> None:
    port = free_port()
    variables = {"FLYTE_REDIS_URL": redis.url, "FLYTE_LEASE_CHECK_SECONDS": "1", "LOGLEVEL": "DEBUG"}
    with migrated_database(tmp_path) as url:
        environment = server_environment(url, {**variables, "FLYTE_PORT": str(port)})
        with running(tmp_path, environment, "run") as run:
            wait_for_health(f"http://127.0.0.1:{port}", run)
            run.wait_for("job_done job=end_leases")
            redis.stop()
            run.wait_for("consumer: Cannot connect")
            run.wait_for("event=redis_away task=beat")
            registered = httpx.post(f"http://127.0.0.1:{port}/v1/packs", json={"name": "P"}, trust_env=False)
            assert registered.status_code == 201
            done = len(run.said("job_done job=end_leases"))
            redis.start_again()
            run.wait_for("job_done job=end_leases", times=done + 2)
            run.wait_for("event=redis_back task=beat")
            assert len(run.said("event=redis_away task=beat")) == 1
            assert not run.said("Message Error")
            assert not run.said("CPendingDeprecationWarning")
            assert not run.said("process_ended")
            assert run.stop() == 0
            assert run.members() == []


class SignalLosingScheduler(JobScheduler):
    """A scheduler that loses the exception of a signal, as Celery does if the signal arrives during a read."""

    ticks = 0

    def tick(self, *_: Any, **__: Any) -> float:
        self.ticks += 1
        assert self.ticks < 3, "beat goes on"
        with suppress(SystemExit):
            signal.raise_signal(signal.SIGTERM)
        return 0.0


@pytest.mark.integration
def test_beat_ends_even_if_the_exception_of_the_signal_is_lost() -> None:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    beat = JobBeat(app=app, quiet=True, loglevel="INFO", scheduler_cls=SignalLosingScheduler, socket_timeout=0)
    try:
        beat.start_scheduler()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.acceptance
@pytest.mark.parametrize("command", ["worker", "beat"])
def test_without_redis_worker_and_beat_say_what_to_use(tmp_path: Path, command: str) -> None:
    done = manage(command, folder=tmp_path, environment={})
    assert done.returncode == 1
    assert "FLYTE_REDIS_URL is required" in done.stderr


@pytest.mark.unit
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:6379/1", "redis://h:6379/1"),
        ("rediss://:pw@h/0", "rediss://:pw@h/0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix://u:pw@/run/redis.sock?db=3", "redis+socket://u:pw@/run/redis.sock?virtual_host=3"),
    ],
)
def test_the_redis_url_becomes_a_broker_url_of_celery(url: str, expected: str) -> None:
    assert to_broker_url(url) == expected


@pytest.mark.unit
def test_beat_schedules_every_job_with_messages_that_expire_before_the_next() -> None:
    schedule = build_beat_schedule()
    assert list(schedule) == [job.name for job in get_scheduled_jobs()]
    assert all(entry["options"]["expires"] == entry["schedule"].seconds for entry in schedule.values())
    assert {entry["task"] for entry in schedule.values()} <= set(app.tasks)


@pytest.mark.unit
def test_only_json_is_accepted_and_certificates_are_verified() -> None:
    with override_settings(FLYTE_REDIS_URL="rediss://h/0"):
        config = build_config()
    assert (config["accept_content"], config["broker_use_ssl"]["ssl_cert_reqs"].name) == (["json"], "CERT_REQUIRED")
