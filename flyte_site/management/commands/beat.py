"""`manage.py beat`: Celery's beat, which triggers the periodic jobs."""

import signal
from typing import Any

import structlog
from celery.apps.beat import Beat  # type: ignore[import-untyped]
from celery.beat import ScheduleEntry, Scheduler, SchedulingError, Service  # type: ignore[import-untyped]
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from flyte_site.celery import app
from flyte_site.jobs import get_scheduled_jobs
from flyte_site.scheduler.runner import register_jobs
from flyte_site.server.db_setup import require_migrated

log = structlog.get_logger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class JobScheduler(Scheduler):  # type: ignore[misc]
    """A scheduler that logs once when Redis becomes unavailable and once when it is back, without tracebacks."""

    is_redis_unavailable = False

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            if not self.is_redis_unavailable:
                log.warning("redis_away", task="beat", error=str(error)[:200])
            self.is_redis_unavailable = True
        else:
            if self.is_redis_unavailable:
                log.info("redis_back", task="beat")
            self.is_redis_unavailable = False


class JobBeat(Beat):  # type: ignore[misc]
    """Celery's beat with a reliable stop.

    Celery's own signal handler closes the connection and raises `SystemExit`. If that happens while beat reads from
    Redis, the closed connection raises a different exception, which beat handles as a failed message: it never stops.
    """

    def install_sync_handler(self, service: Service) -> None:
        def stop(*_: object) -> None:
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            service.stop()
            raise SystemExit

        for number in STOP_SIGNALS:
            signal.signal(number, stop)


class Command(BaseCommand):
    """The command that triggers the periodic jobs. If several processes run it, each job still runs once per period."""

    help = "Trigger the periodic jobs until stopped; `worker` runs them. Requires FLYTE_REDIS_URL."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.FLYTE_REDIS_URL:
            raise CommandError("FLYTE_REDIS_URL is required; without Redis, `manage.py jobs` runs the periodic jobs")
        require_migrated()
        register_jobs(get_scheduled_jobs(), timezone.now())
        JobBeat(app=app, quiet=True, loglevel=settings.LOGLEVEL, scheduler_cls=JobScheduler).run()
