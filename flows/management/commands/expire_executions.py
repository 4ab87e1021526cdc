"""`manage.py expire_executions`: forget executions that nothing happened in for long."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from flows.expiry import expire_executions


class Command(BaseCommand):
    """What the server does by itself every few minutes."""

    help = "Delete executions with their actions FLYTE_TTL_IN_SECONDS after their last change, whatever their state."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        count = expire_executions(dry_run=options["dry_run"])
        self.stdout.write(
            f"{count} executions and actions of none {'would be' if options['dry_run'] else 'were'} deleted"
        )
