"""`manage.py beat`: Celery's beat, which calls for the periodic jobs."""

from typing import Any

from celery.apps.beat import Beat  # type: ignore[import-untyped]
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from flyte_site.celery import app
from flyte_site.jobs import scheduled_jobs
from flyte_site.periodic.claims import note_jobs


class Command(BaseCommand):
    """One is enough; where several run, each job is still done once."""

    help = "Call for the periodic jobs when they may be due, until told to stop. Needs FLYTE_REDIS_URL."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.FLYTE_REDIS_URL:
            raise CommandError("FLYTE_REDIS_URL is not set: without Redis `manage.py jobs` does the periodic jobs")
        note_jobs(scheduled_jobs(), timezone.now())
        Beat(app=app, quiet=True, loglevel=settings.LOGLEVEL).run()
