"""`manage.py forget_sessions`: forget the sessions that are over."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from flyte_site.console.throttling import forget_sessions


class Command(BaseCommand):
    """What the server does by itself every hour."""

    help = "Delete the console's sessions that are over."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        count = forget_sessions(dry_run=options["dry_run"])
        self.stdout.write(f"{count} sessions {'would be' if options['dry_run'] else 'were'} forgotten")
