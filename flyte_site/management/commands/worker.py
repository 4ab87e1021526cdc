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
from flyte_site.core.metrics import use_shared_directory
from flyte_site.server.db_setup import require_migrated


class JobWorker(Worker):  # type: ignore[misc]
    """Celery's worker: on Ctrl-C, once or more often, it finishes its jobs and stops, like on SIGTERM."""

    def install_platform_tweaks(self, worker: Any) -> None:
        super().install_platform_tweaks(worker)
        signal.signal(signal.SIGINT, signal.getsignal(signal.SIGTERM))
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Command(BaseCommand):
    """Runs the periodic jobs. Any number of processes can run, on any number of machines."""

    help = "Run the periodic jobs that `manage.py beat` triggers, until stopped. Requires FLYTE_REDIS_URL."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.FLYTE_REDIS_URL:
            raise CommandError("FLYTE_REDIS_URL is required; without Redis, `manage.py jobs` runs the periodic jobs")
        require_migrated()
        if settings.FLYTE_METRICS_PATH:
            use_shared_directory(settings.FLYTE_METRICS_PATH)
        # It warns root that messages could be pickles, which this app rejects.
        warnings.simplefilter("ignore", SecurityWarning)
        worker = JobWorker(
            app=app,
            quiet=True,
            loglevel=settings.LOGLEVEL,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        # Only now, because Celery enables them during its setup: warnings for developers, at each loss of Redis.
        warnings.simplefilter("ignore", CPendingDeprecationWarning)
        worker.start()
        sys.exit(worker.exitcode)
