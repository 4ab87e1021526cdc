"""`manage.py jobs`: the periodic jobs on a single machine without Redis."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections
from django.utils import timezone

from flyte_site.core.observability.metrics import use_shared_directory
from flyte_site.db.postgresql.sessions import use_job_timeouts
from flyte_site.jobs import get_disabled_jobs, get_scheduled_jobs
from flyte_site.models import JobRun
from flyte_site.scheduler.runner import PeriodicJob, register_jobs, run_if_due
from flyte_site.server.db_setup import require_migrated

# The time that a stop waits for jobs. A longer job is interrupted between two of its transactions.
GRACE_SECONDS = 20.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    """The command that runs each job in a separate thread, so that a long job does not delay others."""

    help = "Run the periodic jobs until stopped. `manage.py run` starts this command if FLYTE_REDIS_URL is not set."
    requires_system_checks = ()  # they load all pages and routes, which this process does not use

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--list", action="store_true", help="list jobs and their last run")

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = get_scheduled_jobs()
        if options["list"]:
            self.print_jobs(jobs)
            return
        use_job_timeouts()
        require_migrated()
        if settings.FLYTE_METRICS_PATH:
            use_shared_directory(settings.FLYTE_METRICS_PATH)
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # here and in the threads, for `sigwait`
        register_jobs(jobs, timezone.now())
        stopping = threading.Event()
        threads = [threading.Thread(target=run_until_stopped, args=(job, stopping), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        signal.sigwait(STOP_SIGNALS)
        stopping.set()
        for thread in threads:
            thread.join(GRACE_SECONDS / len(threads))

    def print_jobs(self, jobs: list[PeriodicJob]) -> None:
        runs = JobRun.objects.in_bulk([job.name for job in jobs])
        for job in jobs:
            if job.is_shared:
                self.stdout.write(f"{job.name}: {job.schedule}, in every process that runs jobs")
                continue
            job_run = runs.get(job.name)
            last_run = job_run.ran_at.isoformat(timespec="seconds") if job_run and job_run.ran_at else "never"
            self.stdout.write(
                f"{job.name}: {job.schedule}; last ran: {last_run}; runs: {job_run.runs if job_run else 0}"
            )
        for name, reason in get_disabled_jobs().items():
            self.stdout.write(f"{name}: disabled, because {reason}")


def run_until_stopped(job: PeriodicJob, stopping: threading.Event) -> None:
    """Run the job whenever it is due, until stopped."""
    while not stopping.is_set():
        run_if_due(job, timezone.now())
        close_old_connections()
        stopping.wait(job.schedule.poll_interval)
