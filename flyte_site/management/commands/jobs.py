"""`manage.py jobs`: the periodic jobs on one machine without Redis."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections
from django.utils import timezone

from flyte_site.jobs import scheduled_jobs, switched_off
from flyte_site.meters import share
from flyte_site.migration import refuse_without_tables
from flyte_site.models import JobRun
from flyte_site.periodic.claims import Job, note_jobs, run_if_due

# What a stop waits for; a round that takes longer is broken off between two of its transactions.
GRACE_SECONDS = 20.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    """Each job in a thread of its own, so that a long one keeps no other waiting."""

    help = "Do the periodic jobs until told to stop. `manage.py run` starts it where FLYTE_REDIS_URL is not set."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--list", action="store_true", help="only tell which there are, and when they last ran")

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = scheduled_jobs()
        if options["list"]:
            self.tell(jobs)
            return
        refuse_without_tables()
        if settings.FLYTE_METRICS_PATH:
            share(settings.FLYTE_METRICS_PATH)
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # here and in the threads, for `sigwait`
        note_jobs(jobs, timezone.now())
        stopping = threading.Event()
        threads = [threading.Thread(target=look_after, args=(job, stopping), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        signal.sigwait(STOP_SIGNALS)
        stopping.set()
        for thread in threads:
            thread.join(GRACE_SECONDS / len(threads))

    def tell(self, jobs: list[Job]) -> None:
        known = JobRun.objects.in_bulk([job.name for job in jobs])
        for job in jobs:
            if job.shared:
                self.stdout.write(f"{job.name}: {job.timing}, by every process that does jobs")
                continue
            run = known.get(job.name)
            last = run.ran_at.isoformat(timespec="seconds") if run and run.ran_at else "never"
            self.stdout.write(f"{job.name}: {job.timing}; last ran: {last}; runs: {run.runs if run else 0}")
        for name, why in switched_off().items():
            self.stdout.write(f"{name}: off, since {why}")


def look_after(job: Job, stopping: threading.Event) -> None:
    """Do the job whenever it is due, until told to stop."""
    while not stopping.is_set():
        run_if_due(job, timezone.now())
        close_old_connections()
        stopping.wait(job.timing.wake_seconds)
