"""Runs of periodic jobs: many processes check whether a job is due, and the one that claims the period runs it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter

import structlog
from django.db import InterfaceError, OperationalError
from django.db.models import F, Q

from flyte_site.core.clock import database_clock
from flyte_site.core.observability import request_ids
from flyte_site.core.observability.metrics import observe_job
from flyte_site.core.observability.safe_tracebacks import safe_database_message
from flyte_site.models import JobRun
from flyte_site.scheduler.schedules import JobSchedule

log = structlog.get_logger(__name__)

# A stored period that is further ahead was written with a wrong clock: run the job again once the clock is correct.
MAX_CLOCK_SKEW = timedelta(days=2)


@dataclass(frozen=True)
class PeriodicJob:
    """A periodic job. `run` is safe to run concurrently, does a bounded amount of work, and returns how much it did.

    A shared job is run by every process at every check, without a claim.
    """

    name: str
    schedule: JobSchedule
    run: Callable[[], int]
    is_shared: bool = False


def register_jobs(jobs: Iterable[PeriodicJob], now: datetime) -> None:
    """Insert the missing rows of jobs, as if they had just run: the first run is in the next period.

    If the database is unavailable, the first check whether a job is due inserts its row.
    """
    rows = [JobRun(name=job.name, tick=job.schedule.period_start(now)) for job in jobs if not job.is_shared]
    try:
        JobRun.objects.bulk_create(rows, ignore_conflicts=True)
    except (OperationalError, InterfaceError) as error:
        log.warning("jobs_not_noted", error=type(error).__name__)


def run_if_due(job: PeriodicJob, now: datetime) -> bool:
    """Run the job if no process has run it in the current period; return True if it was run here.

    A job that fails is logged and retried at the next check. If its process dies, it runs in the next period.
    """
    try:
        database_clock().now()  # notice its steps
        if job.is_shared:
            with request_ids.bind(job=job.name):
                return _run_shared(job)
        job_run = JobRun.objects.filter(name=job.name).first()
        if job_run is None:
            register_jobs([job], now)
        with request_ids.bind(job=job.name):
            return job_run is not None and _run_claimed(job, job_run, now)
    except (OperationalError, InterfaceError) as error:
        log.warning("job_store_away", job=job.name, error=type(error).__name__)
        return False


def _run_claimed(job: PeriodicJob, job_run: JobRun, now: datetime) -> bool:
    period = job.schedule.period_start(now)
    if (
        job_run.tick == period
        or not job.schedule.is_within_grace(now)
        or not claim_period(job.name, period, now, job.schedule.max_skew)
    ):
        return False
    log.debug("job_started", job=job.name, tick=period.isoformat())
    try:
        count = _run_timed(job)
    except Exception as error:
        # A database that became unavailable is not a defect of the job.
        if isinstance(error, OperationalError | InterfaceError):
            log.warning("job_broke_off", job=job.name, error=safe_database_message(error))
        else:
            log.error("job_failed", job=job.name, exc_info=error)
        JobRun.objects.filter(name=job.name, tick=period).update(tick=job_run.tick)
        return False
    (log.info if count else log.debug)("job_done", job=job.name, count=count)
    return True


def _run_shared(job: PeriodicJob) -> bool:
    """Run a shared job; return True if it did not fail."""
    try:
        count = _run_timed(job)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        log.error("job_failed", job=job.name, exc_info=error)
        return False
    log.debug("job_done", job=job.name, count=count)
    return True


def _run_timed(job: PeriodicJob) -> int:
    """Run the job, observe its duration, and return how much it did."""
    start, failed = perf_counter(), True
    try:
        count = job.run()
        failed = False
        return count
    finally:
        observe_job(job.name, perf_counter() - start, failed=failed)


def claim_period(name: str, period: datetime, now: datetime, max_skew: timedelta = MAX_CLOCK_SKEW) -> bool:
    """Claim the job's period; return False if another process got it first."""
    claimable = JobRun.objects.filter(Q(tick__lt=period) | Q(tick__gt=now + max_skew), name=name)
    return claimable.update(tick=period, ran_at=now, runs=F("runs") + 1) == 1
