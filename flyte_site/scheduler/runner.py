"""Who does a job: of all processes that look whether it is due, one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter

import structlog
from django.db import InterfaceError, OperationalError
from django.db.models import F, Q

from flyte_site.core import request_ids
from flyte_site.core.metrics import observe_job
from flyte_site.core.safe_tracebacks import safe_database_message
from flyte_site.models import JobRun
from flyte_site.scheduler.schedules import JobSchedule

log = structlog.get_logger(__name__)

# A clock that was far ahead must not keep a job from running when it is set right. No tick is named as late as that.
MAX_CLOCK_SKEW = timedelta(days=2)


@dataclass(frozen=True)
class PeriodicJob:
    """`run` is safe to be run twice at once, does a bounded round, and gives how much it did.

    One that is `shared` is run by every process that looks, at every look: many may work on it, and nobody is noted.
    """

    name: str
    schedule: JobSchedule
    run: Callable[[], int]
    is_shared: bool = False


def register_jobs(jobs: Iterable[PeriodicJob], now: datetime) -> None:
    """Give each job that has none a row, as if it had just run: its first run is at its next tick.

    While the database is away nothing is noted; whoever then looks whether a job is due notes it.
    """
    rows = [JobRun(name=job.name, tick=job.schedule.period_start(now)) for job in jobs if not job.is_shared]
    try:
        JobRun.objects.bulk_create(rows, ignore_conflicts=True)
    except (OperationalError, InterfaceError) as error:
        log.warning("jobs_not_noted", error=type(error).__name__)


def run_if_due(job: PeriodicJob, now: datetime) -> bool:
    """Do the job if it has not been done in its current tick, by anybody; whether it was done here.

    A job that fails is logged and tried again at the next look. One whose process dies waits for its next tick.
    """
    try:
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
    if job_run.tick == period or not job.schedule.is_within_grace(now) or not claim_period(job.name, period, now):
        return False
    log.debug("job_started", job=job.name, tick=period.isoformat())
    try:
        count = _run_timed(job)
    except Exception as error:
        # That the database went away meanwhile is no defect of the job.
        if isinstance(error, OperationalError | InterfaceError):
            log.warning("job_broke_off", job=job.name, error=safe_database_message(error))
        else:
            log.error("job_failed", job=job.name, exc_info=error)
        JobRun.objects.filter(name=job.name, tick=period).update(tick=job_run.tick)
        return False
    (log.info if count else log.debug)("job_done", job=job.name, count=count)
    return True


def _run_shared(job: PeriodicJob) -> bool:
    """A round of a shared job."""
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
    """How much the job did; how long it took is counted, however it ended."""
    start, failed = perf_counter(), True
    try:
        count = job.run()
        failed = False
        return count
    finally:
        observe_job(job.name, perf_counter() - start, failed=failed)


def claim_period(name: str, period: datetime, now: datetime) -> bool:
    """Take a job's tick; False where somebody has it already."""
    claimable = JobRun.objects.filter(Q(tick__lt=period) | Q(tick__gt=now + MAX_CLOCK_SKEW), name=name)
    return claimable.update(tick=period, ran_at=now, runs=F("runs") + 1) == 1
