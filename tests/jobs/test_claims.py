"""Claims of jobs: one run a tick despite restarts, failures and concurrent processes. Tests set the time."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from structlog.testing import capture_logs

from flyte_site.models import JobRun
from flyte_site.scheduler import runner
from flyte_site.scheduler.runner import PeriodicJob, register_jobs, run_if_due
from flyte_site.scheduler.schedules import DailySchedule, FixedIntervalSchedule

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class RecordedJob:
    """The function of a job, which records its runs and raises an error `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.now = NOON
        self.failures = failures
        self.done: list[datetime] = []

    def __call__(self) -> int:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("told to")
        self.done.append(self.now)
        return 1

    def job(self, timing: DailySchedule | FixedIntervalSchedule) -> PeriodicJob:
        return PeriodicJob("work", timing, self)


def check_at(
    work: RecordedJob,
    timing: DailySchedule | FixedIntervalSchedule,
    checks: Iterable[datetime],
    restarts: Iterable[datetime] = (),
) -> None:
    """Check at each of these times if the job is due; restart the process at the times in `restarts`."""
    restarted = set(restarts)
    register_jobs([work.job(timing)], NOON)
    for now in checks:
        work.now = now
        if now in restarted:
            register_jobs([work.job(timing)], now)
        run_if_due(work.job(timing), now)


def minutes(start: datetime, count: int) -> list[datetime]:
    return [start + MINUTE * number for number in range(count)]


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


NIGHTLY = DailySchedule(time(23), UTC)


def test_the_first_run_is_at_the_next_occurrence_of_the_hour() -> None:
    work = RecordedJob()
    check_at(work, NIGHTLY, minutes(NOON, 36 * 60))
    assert work.done == [at(21, 23), at(22, 23)]


def test_restarts_neither_delay_nor_repeat_a_run() -> None:
    work = RecordedJob()
    every_hour_and_around_the_run = [*minutes(NOON, 72 * 60)[::60], at(21, 22, 59), at(21, 23, 1), at(22, 23, 1)]
    check_at(work, NIGHTLY, minutes(NOON, 72 * 60), every_hour_and_around_the_run)
    assert work.done == [at(21, 23), at(22, 23), at(23, 23)]


def test_a_missed_run_is_made_up_and_the_next_is_at_its_hour() -> None:
    work = RecordedJob()
    down = [now for now in minutes(NOON, 36 * 60) if not at(21, 22) < now < at(22, 2)]
    check_at(work, NIGHTLY, down, restarts=[at(22, 2)])
    assert work.done == [at(22, 2), at(22, 23)]


def test_after_a_long_outage_the_next_run_is_at_its_hour() -> None:
    work = RecordedJob()
    down = [now for now in minutes(NOON, 240 * 60) if not at(21, 13) < now < at(30, 9)]
    check_at(work, NIGHTLY, down, restarts=[at(30, 9)])
    assert work.done == [at(30, 23)]


def test_an_interval_has_one_run_regardless_of_the_number_of_checks() -> None:
    work = RecordedJob()
    check_at(work, FixedIntervalSchedule(300), minutes(NOON, 21))
    assert work.done == minutes(NOON, 21)[5::5]
    assert JobRun.objects.get().runs == 4


def test_a_failed_run_is_repeated_at_the_next_check() -> None:
    work = RecordedJob(failures=2)
    check_at(work, NIGHTLY, minutes(NOON, 24 * 60))
    assert work.done == [at(21, 23, 2)]


def test_a_tick_in_the_future_does_not_prevent_runs() -> None:
    work = RecordedJob()
    JobRun.objects.create(name="work", tick=NOON + timedelta(days=900))
    check_at(work, FixedIntervalSchedule(60), minutes(NOON, 3))
    assert work.done == minutes(NOON, 3)


def test_an_unregistered_job_waits_for_its_next_tick() -> None:
    work = RecordedJob()
    job = work.job(FixedIntervalSchedule(60))
    assert [run_if_due(job, now) for now in (NOON, NOON, NOON + MINUTE)] == [False, False, True]


@contextmanager
def unavailable_database() -> Iterator[None]:
    """Make every statement fail, as if the database were unavailable."""

    def fail(*_: object) -> None:
        raise OperationalError("away")

    with connection.execute_wrapper(fail):
        yield


def test_without_the_database_no_job_runs_and_no_error_is_raised() -> None:
    work = RecordedJob()
    register_jobs([work.job(FixedIntervalSchedule(60))], NOON)
    with unavailable_database():
        assert not run_if_due(work.job(FixedIntervalSchedule(60)), NOON + MINUTE)
    assert run_if_due(work.job(FixedIntervalSchedule(60)), NOON + MINUTE)


class InterruptedJob(RecordedJob):
    """A job during whose first runs the database becomes unavailable."""

    def __call__(self) -> int:
        if not self.failures:
            return super().__call__()
        self.failures -= 1
        raise OperationalError("server closed the connection")


def test_a_job_that_loses_the_database_is_repeated_and_not_logged_as_an_error() -> None:
    work = InterruptedJob(failures=1)
    register_jobs([work.job(FixedIntervalSchedule(60))], NOON)
    with capture_logs() as logged:
        assert not run_if_due(work.job(FixedIntervalSchedule(60)), NOON + MINUTE)
    assert [line["event"] for line in logged if line["log_level"] != "debug"] == ["job_broke_off"]
    assert run_if_due(work.job(FixedIntervalSchedule(60)), NOON + MINUTE)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_one_of_many_concurrent_checks_runs_the_job() -> None:
    done: list[int] = []
    job = PeriodicJob("crowded", FixedIntervalSchedule(60), lambda: done.append(1) or 1)  # type: ignore[func-returns-value]
    register_jobs([job], NOON)
    start = threading.Barrier(8)
    real_claim = runner.claim_period

    def claim_together(name: str, tick: datetime, now: datetime, max_skew: timedelta) -> bool:
        start.wait(30)
        return real_claim(name, tick, now, max_skew)

    def check() -> None:
        try:
            run_if_due(job, NOON + MINUTE)
        finally:
            connection.close()

    with patch.object(runner, "claim_period", claim_together):
        threads = [threading.Thread(target=check) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert done == [1]
    assert JobRun.objects.get(name="crowded").runs == 1


def test_a_shared_job_runs_at_every_check_and_is_not_recorded() -> None:
    done: list[int] = []

    def work() -> int:
        done.append(1)
        return len(done)

    job = PeriodicJob("shared", FixedIntervalSchedule(300), work, is_shared=True)
    register_jobs([job], NOON)
    for _ in range(3):
        assert run_if_due(job, NOON)
    assert (len(done), JobRun.objects.count()) == (3, 0)


def test_a_failed_shared_job_is_repeated() -> None:
    def fail() -> int:
        raise ValueError("no")

    assert not run_if_due(PeriodicJob("shared", FixedIntervalSchedule(300), fail, is_shared=True), NOON)
