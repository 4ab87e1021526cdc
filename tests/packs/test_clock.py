"""Clocks that are set, or that differ between machines: what waits is not withheld, and what runs does not expire."""

from datetime import datetime, timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from flows.engine import jobs
from flyte_site.core.clock import DatabaseClock, database_clock
from flyte_site.core.ids import min_id_at
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.models import JobRun
from flyte_site.scheduler.runner import PeriodicJob, register_jobs, run_if_due
from flyte_site.scheduler.schedules import FixedIntervalSchedule
from packs.models import Action
from packs.queue import long_poll, take
from packs.queue.leases import extend_lease
from tests.flows import builders as b
from tests.flows.attempts import command, get_action

pytestmark = [pytest.mark.database, pytest.mark.django_db]

HOUR = timedelta(hours=1)
USERS = ("packs.queue.take", "packs.queue.leases", "packs.queue.retries", "packs.queue.long_poll", "flows.engine.jobs")


class SetClock:
    """A clock that tests set, and the seconds that have passed."""

    def __init__(self) -> None:
        self.time, self.seconds = timezone.now(), 0.0

    def read(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def pass_time(self, **duration: float) -> None:
        self.seconds += timedelta(**duration).total_seconds()
        self.time += timedelta(**duration)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Use a clock of the test for the queue."""
    test_clock = SetClock()
    shared = DatabaseClock(test_clock.read, 0, test_clock.monotonic)
    shared.now()  # a step is noticed by a process that has read the clock before
    for module in USERS:
        monkeypatch.setattr(f"{module}.database_clock", lambda: shared)
    return test_clock


def queue_in_the_future(labels: dict[str, str]) -> None:
    """Queue an action as a machine does whose clock is an hour ahead."""
    b.save(b.step(id="a", command=command(packLabels=labels)))
    b.tell(b.pack("Src"))
    Action.objects.update(id=min_id_at(timezone.now() + HOUR), ready_at=F("ready_at") + HOUR)


@pytest.mark.parametrize("labels", [{}, {"env": "prod", "az": "b"}])
def test_a_first_attempt_that_was_queued_in_the_future_is_not_withheld(labels: dict[str, str]) -> None:
    worker = b.pack("Wrk", **labels)
    queue_in_the_future(labels)
    assert long_poll.find_ready({"Wrk", "Other"}) == [("Wrk", Action.objects.get().labels_key)]
    assert take.take(worker, ["Other"]) is None
    assert b.take(worker).attempt == 1
    assert long_poll.find_ready({"Wrk"}) == []
    queued, taken = (entry["time"] for entry in Action.objects.get().state_log)
    assert queued < taken == format_rfc3339(Action.objects.get().ready_at), "it is not taken before it was queued"
    assert Action.objects.get().taken_at == Action.objects.get().ready_at


def test_a_retry_waits_by_the_clock_of_the_database(set_clock: SetClock) -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(retries=1, backoff=600)))
    b.tell(source)
    b.give(worker, b.take(worker), "FATAL")
    Action.objects.update(id=min_id_at(timezone.now() + HOUR))
    assert (take.take(worker), long_poll.find_ready({"Wrk"})) == (None, [])
    set_clock.pass_time(minutes=13)
    assert long_poll.find_ready({"Wrk"}) == [("Wrk", "{}")]
    assert b.take(worker).attempt == 2


def test_a_step_forward_ends_no_lease_that_is_running(set_clock: SetClock) -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(timeout="10m")))
    b.tell(source)
    action = b.take(worker)
    set_clock.pass_time(minutes=6)
    set_clock.time += HOUR
    assert jobs.expire_leases() == 0
    set_clock.pass_time(minutes=3)
    assert jobs.expire_leases() == 0
    assert extend_lease(action.id, worker, 1)
    set_clock.pass_time(minutes=9)
    assert jobs.expire_leases() == 0
    set_clock.pass_time(minutes=2)
    assert jobs.expire_leases() == 1, "the lease that was extended after the step ends in time"
    assert get_action().state == "FATAL"


def test_leases_that_a_step_extends_do_not_hide_those_that_have_expired(
    set_clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_LEASES_PER_RUN", 1)
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="short", command=command(timeout="10m")), b.step(id="long", command=command(timeout="1h")))
    b.tell(source)
    short, long = b.take(worker), b.take(worker)
    set_clock.pass_time(minutes=5)
    set_clock.time += 3 * HOUR
    assert jobs.expire_leases() == 0
    # A lease that began after the step, and ends now.
    Action.objects.filter(id=long.id).update(timeout=1, lease_ends_at=set_clock.time)
    assert Action.objects.filter(id=short.id, lease_ends_at__lt=set_clock.time).exists()
    assert jobs.expire_leases() == 1
    assert (get_action("short").state, get_action("long").state) == ("PENDING", "FATAL")


def test_a_periodic_job_continues_after_the_clock_was_set_back() -> None:
    job = PeriodicJob("set-back", FixedIntervalSchedule(15), lambda: 1)
    now = timezone.now()
    register_jobs([job], now + HOUR)
    assert run_if_due(job, now)
    assert not run_if_due(job, now)
    assert JobRun.objects.get(name="set-back").tick <= now


def test_the_clock_is_read_from_the_database() -> None:
    assert abs(database_clock().now() - timezone.now()) < timedelta(seconds=30)


def test_steps_forward_are_noticed_and_small_differences_are_not() -> None:
    test_clock = SetClock()
    measured = DatabaseClock(test_clock.read, 5, test_clock.monotonic)
    start = measured.now()
    test_clock.pass_time(seconds=4)
    test_clock.time += HOUR
    assert measured.now() == start + timedelta(seconds=4), "it is read every five seconds"
    test_clock.pass_time(seconds=2)
    assert measured.now() == test_clock.time
    assert measured.now_without_steps() == start + timedelta(seconds=6)
    assert not measured.has_passed(start, start + timedelta(minutes=1))
    assert measured.has_passed(test_clock.time - HOUR / 2, test_clock.time - HOUR / 4)
    test_clock.pass_time(seconds=10)
    test_clock.time += timedelta(seconds=1)
    assert measured.now() - measured.now_without_steps() == HOUR
    test_clock.time -= 2 * HOUR
    test_clock.pass_time(seconds=10)
    assert measured.now() == test_clock.time
    assert len(measured._steps) == 1
