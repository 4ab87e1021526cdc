"""Who does a job: of all processes that look whether it is due, one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter

import structlog
from django.db import InterfaceError, OperationalError
from django.db.models import F, Q

from flyte_site import correlation
from flyte_site.failures import database_message
from flyte_site.meters import observe_job
from flyte_site.models import JobRun
from flyte_site.periodic.timing import Timing

log = structlog.get_logger(__name__)

# A clock that was far ahead must not keep a job from running when it is set right. No tick is named as late as that.
AHEAD = timedelta(days=2)


@dataclass(frozen=True)
class Job:
    """`run` is safe to be run twice at once, does a bounded round, and gives how much it did.

    One that is `shared` is run by every process that looks, at every look: many may work on it, and nobody is noted.
    """

    name: str
    timing: Timing
    run: Callable[[], int]
    shared: bool = False


def note_jobs(jobs: Iterable[Job], now: datetime) -> None:
    """Give each job that has none a row, as if it had just run: its first run is at its next tick.

    While the database is away nothing is noted; whoever then looks whether a job is due notes it.
    """
    rows = [JobRun(name=job.name, tick=job.timing.tick(now)) for job in jobs if not job.shared]
    try:
        JobRun.objects.bulk_create(rows, ignore_conflicts=True)
    except (OperationalError, InterfaceError) as error:
        log.warning("jobs_not_noted", error=type(error).__name__)


def run_if_due(job: Job, now: datetime) -> bool:
    """Do the job if it has not been done in its current tick, by anybody; whether it was done here.

    A job that fails is logged and tried again at the next look. One whose process dies waits for its next tick.
    """
    try:
        if job.shared:
            with correlation.within(job=job.name):
                return _work(job)
        known = JobRun.objects.filter(name=job.name).first()
        if known is None:
            note_jobs([job], now)
        with correlation.within(job=job.name):
            return known is not None and _run(job, known, now)
    except (OperationalError, InterfaceError) as error:
        log.warning("job_store_away", job=job.name, error=type(error).__name__)
        return False


def _run(job: Job, known: JobRun, now: datetime) -> bool:
    tick = job.timing.tick(now)
    if known.tick == tick or not job.timing.open(now) or not claim(job.name, tick, now):
        return False
    log.debug("job_started", job=job.name, tick=tick.isoformat())
    try:
        done = _timed(job)
    except Exception as error:
        # That the database went away meanwhile is no defect of the job.
        if isinstance(error, OperationalError | InterfaceError):
            log.warning("job_broke_off", job=job.name, error=database_message(error))
        else:
            log.error("job_failed", job=job.name, exc_info=error)
        JobRun.objects.filter(name=job.name, tick=tick).update(tick=known.tick)
        return False
    (log.info if done else log.debug)("job_done", job=job.name, count=done)
    return True


def _work(job: Job) -> bool:
    """A round of a shared job."""
    try:
        done = _timed(job)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        log.error("job_failed", job=job.name, exc_info=error)
        return False
    log.debug("job_done", job=job.name, count=done)
    return True


def _timed(job: Job) -> int:
    """How much the job did; how long it took is counted, however it ended."""
    began, failed = perf_counter(), True
    try:
        done = job.run()
        failed = False
        return done
    finally:
        observe_job(job.name, perf_counter() - began, failed=failed)


def claim(name: str, tick: datetime, now: datetime) -> bool:
    """Take a job's tick; False where somebody has it already."""
    earlier = JobRun.objects.filter(Q(tick__lt=tick) | Q(tick__gt=now + AHEAD), name=name)
    return earlier.update(tick=tick, ran_at=now, runs=F("runs") + 1) == 1
