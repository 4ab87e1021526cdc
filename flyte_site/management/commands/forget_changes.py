"""`manage.py forget_changes`: forget who changed what long ago."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from flyte_site.changes import forget_changes


class Command(BaseCommand):
    """What the server does by itself every hour."""

    help = "Delete what is kept of changes FLYTE_TTL_IN_SECONDS after they were made."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        count = forget_changes(dry_run=options["dry_run"])
        self.stdout.write(f"{count} changes {'would be' if options['dry_run'] else 'were'} forgotten")
