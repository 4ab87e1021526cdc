"""`manage.py forget_attempts`: forget wrong passwords that count no longer."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from flyte_site.console.throttling import forget_attempts


class Command(BaseCommand):
    """What the server does by itself every five minutes."""

    help = "Delete the wrong passwords that count no longer against a name, and the oldest where there are too many."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        count = forget_attempts(dry_run=options["dry_run"])
        self.stdout.write(f"{count} attempts {'would be' if options['dry_run'] else 'were'} forgotten")
