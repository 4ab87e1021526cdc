"""`manage.py worker`: Celery's worker, which runs the periodic jobs."""

import signal
import sys
import warnings
from typing import Any

from celery.apps.worker import Worker  # type: ignore[import-untyped]
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning  # type: ignore[import-untyped]
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from flyte_site.celery import app
from flyte_site.core.observability.metrics import use_shared_directory
from flyte_site.db.postgresql.sessions import use_job_timeouts
from flyte_site.server.db_setup import require_migrated


class JobWorker(Worker):  # type: ignore[misc]
    """Celery's worker, which finishes its jobs and stops on any number of Ctrl-C, like on SIGTERM."""

    def install_platform_tweaks(self, worker: Any) -> None:
        super().install_platform_tweaks(worker)
        signal.signal(signal.SIGINT, signal.getsignal(signal.SIGTERM))
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Command(BaseCommand):
    """The command that runs the periodic jobs, in any number of processes on any number of machines."""

    help = "Run the periodic jobs that `manage.py beat` triggers, until stopped. Requires FLYTE_REDIS_URL."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.FLYTE_REDIS_URL:
            raise CommandError("FLYTE_REDIS_URL is required; without Redis, `manage.py jobs` runs the periodic jobs")
        use_job_timeouts()
        require_migrated()
        if settings.FLYTE_METRICS_PATH:
            use_shared_directory(settings.FLYTE_METRICS_PATH)
        # Celery warns root that messages could be pickles, which this app rejects.
        warnings.simplefilter("ignore", SecurityWarning)
        worker = JobWorker(
            app=app,
            quiet=True,
            loglevel=settings.LOGLEVEL,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        # After Celery's setup, which enables these warnings for developers, issued at each loss of Redis.
        warnings.simplefilter("ignore", CPendingDeprecationWarning)
        worker.start()
        sys.exit(worker.exitcode)
