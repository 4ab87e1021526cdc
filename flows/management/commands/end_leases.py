"""`manage.py end_leases`: one round of looking for leases that ended."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from flows.tasks import end_leases


class Command(BaseCommand):
    """What the server does by itself every FLYTE_LEASE_CHECK_SECONDS."""

    help = "End attempts whose lease has ended: they are tried again while their step's retries allow it, else FATAL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        count = end_leases(dry_run=options["dry_run"])
        self.stdout.write(f"{count} leases {'have' if options['dry_run'] else 'had'} ended")
