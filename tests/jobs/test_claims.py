"""Who does a job: once a tick, whatever restarts, fails, or looks at the same time. Clocks are the tests' own."""

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


class Work:
    """Notes when it was done; fails as often as it is told to."""

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


def live(
    work: Work,
    timing: DailySchedule | FixedIntervalSchedule,
    looks: Iterable[datetime],
    restarts: Iterable[datetime] = (),
) -> None:
    """A process looks at these times; at `restarts` it has just been started again."""
    restarted = set(restarts)
    register_jobs([work.job(timing)], NOON)
    for now in looks:
        work.now = now
        if now in restarted:
            register_jobs([work.job(timing)], now)
        run_if_due(work.job(timing), now)


def minutes(start: datetime, count: int) -> list[datetime]:
    return [start + MINUTE * number for number in range(count)]


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


NIGHTLY = DailySchedule(time(23), UTC)


def test_the_first_run_is_the_next_time_that_the_hour_comes() -> None:
    work = Work()
    live(work, NIGHTLY, minutes(NOON, 36 * 60))
    assert work.done == [at(21, 23), at(22, 23)]


def test_restarts_neither_put_it_off_nor_run_it_twice_a_day() -> None:
    work = Work()
    every_hour_and_around_the_run = [*minutes(NOON, 72 * 60)[::60], at(21, 22, 59), at(21, 23, 1), at(22, 23, 1)]
    live(work, NIGHTLY, minutes(NOON, 72 * 60), every_hour_and_around_the_run)
    assert work.done == [at(21, 23), at(22, 23), at(23, 23)]


def test_a_run_that_was_missed_is_made_up_for_and_the_next_comes_at_its_hour() -> None:
    work = Work()
    down = [now for now in minutes(NOON, 36 * 60) if not at(21, 22) < now < at(22, 2)]
    live(work, NIGHTLY, down, restarts=[at(22, 2)])
    assert work.done == [at(22, 2), at(22, 23)]


def test_after_a_long_absence_the_next_run_is_the_next_time_that_the_hour_comes() -> None:
    work = Work()
    down = [now for now in minutes(NOON, 240 * 60) if not at(21, 13) < now < at(30, 9)]
    live(work, NIGHTLY, down, restarts=[at(30, 9)])
    assert work.done == [at(30, 23)]


def test_an_interval_has_one_run_however_often_it_is_looked_at() -> None:
    work = Work()
    live(work, FixedIntervalSchedule(300), minutes(NOON, 21))
    assert work.done == minutes(NOON, 21)[5::5]
    assert JobRun.objects.get().runs == 4


def test_what_failed_is_tried_again_at_the_next_look() -> None:
    work = Work(failures=2)
    live(work, NIGHTLY, minutes(NOON, 24 * 60))
    assert work.done == [at(21, 23, 2)]


def test_a_clock_that_was_far_ahead_keeps_no_job_from_running() -> None:
    work = Work()
    JobRun.objects.create(name="work", tick=NOON + timedelta(days=900))
    live(work, FixedIntervalSchedule(60), minutes(NOON, 3))
    assert work.done == minutes(NOON, 3)


def test_a_job_that_nobody_noted_yet_waits_for_its_next_tick() -> None:
    work = Work()
    job = work.job(FixedIntervalSchedule(60))
    assert [run_if_due(job, now) for now in (NOON, NOON, NOON + MINUTE)] == [False, False, True]


@contextmanager
def store_away() -> Iterator[None]:
    """Every statement fails, as while the database is away."""

    def fail(*_: object) -> None:
        raise OperationalError("away")

    with connection.execute_wrapper(fail):
        yield


def test_while_the_database_is_away_nothing_runs_and_nothing_ends() -> None:
    work = Work()
    register_jobs([work.job(FixedIntervalSchedule(60))], NOON)
    with store_away():
        assert not run_if_due(work.job(FixedIntervalSchedule(60)), NOON + MINUTE)
    assert run_if_due(work.job(FixedIntervalSchedule(60)), NOON + MINUTE)


class WorkBrokenOff(Work):
    """The database does not answer in the middle of it, the first time."""

    def __call__(self) -> int:
        if not self.failures:
            return super().__call__()
        self.failures -= 1
        raise OperationalError("server closed the connection")


def test_a_job_that_the_database_breaks_off_is_tried_again_and_is_no_defect() -> None:
    work = WorkBrokenOff(failures=1)
    register_jobs([work.job(FixedIntervalSchedule(60))], NOON)
    with capture_logs() as logged:
        assert not run_if_due(work.job(FixedIntervalSchedule(60)), NOON + MINUTE)
    assert [line["event"] for line in logged if line["log_level"] != "debug"] == ["job_broke_off"]
    assert run_if_due(work.job(FixedIntervalSchedule(60)), NOON + MINUTE)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_many_that_look_at_the_same_moment_one_does_the_job() -> None:
    done: list[int] = []
    job = PeriodicJob("crowded", FixedIntervalSchedule(60), lambda: done.append(1) or 1)  # type: ignore[func-returns-value]
    register_jobs([job], NOON)
    start = threading.Barrier(8)
    real_claim = runner.claim_period

    def claim_together(name: str, tick: datetime, now: datetime) -> bool:
        start.wait(30)
        return real_claim(name, tick, now)

    def look() -> None:
        try:
            run_if_due(job, NOON + MINUTE)
        finally:
            connection.close()

    with patch.object(runner, "claim_period", claim_together):
        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert done == [1]
    assert JobRun.objects.get(name="crowded").runs == 1


def test_a_shared_job_is_done_at_every_look_by_everybody_and_noted_nowhere() -> None:
    done: list[int] = []

    def work() -> int:
        done.append(1)
        return len(done)

    job = PeriodicJob("shared", FixedIntervalSchedule(300), work, is_shared=True)
    register_jobs([job], NOON)
    for _ in range(3):
        assert run_if_due(job, NOON)
    assert (len(done), JobRun.objects.count()) == (3, 0)


def test_a_shared_job_that_fails_is_tried_again() -> None:
    def fail() -> int:
        raise ValueError("no")

    assert not run_if_due(PeriodicJob("shared", FixedIntervalSchedule(300), fail, is_shared=True), NOON)
