"""`manage.py worker`: Celery's worker, which does the periodic jobs."""

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
    """Ctrl-C is a stop like any other, however often it comes: what is under way is finished."""

    def install_platform_tweaks(self, worker: Any) -> None:
        super().install_platform_tweaks(worker)
        signal.signal(signal.SIGINT, signal.getsignal(signal.SIGTERM))
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Command(BaseCommand):
    """Any number of them may run, on any number of machines."""

    help = "Do the periodic jobs that `manage.py beat` calls for, until told to stop. Needs FLYTE_REDIS_URL."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.FLYTE_REDIS_URL:
            raise CommandError("FLYTE_REDIS_URL is not set: without Redis `manage.py jobs` does the periodic jobs")
        require_migrated()
        if settings.FLYTE_METRICS_PATH:
            use_shared_directory(settings.FLYTE_METRICS_PATH)
        # To root it says that messages could be pickles, which are refused here.
        warnings.simplefilter("ignore", SecurityWarning)
        worker = JobWorker(
            app=app,
            quiet=True,
            loglevel=settings.LOGLEVEL,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        # Now alone: Celery turns them on as it sets up. They are for who writes programs, at each loss of Redis.
        warnings.simplefilter("ignore", CPendingDeprecationWarning)
        worker.start()
        sys.exit(worker.exitcode)
