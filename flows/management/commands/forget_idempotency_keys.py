"""`manage.py forget_idempotency_keys`: delete keys that nobody needs any more."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from flows.tasks import forget_idempotency_keys


class Command(BaseCommand):
    """What the server does by itself every hour."""

    help = "Delete idempotency keys that are older than a day."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        count = forget_idempotency_keys(dry_run=options["dry_run"])
        self.stdout.write(f"{count} keys {'would be' if options['dry_run'] else 'were'} forgotten")
