"""`manage.py forget_flow_versions`: delete versions of flows that nobody needs."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from flows.expiry import forget_flow_versions


class Command(BaseCommand):
    """What the server does by itself every hour where FLYTE_FLOW_VERSIONS_KEEP is set."""

    help = (
        "Delete versions of flows that no flow and no execution is on, but the last FLYTE_FLOW_VERSIONS_KEEP of each."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        count = forget_flow_versions(dry_run=options["dry_run"])
        self.stdout.write(f"{count} versions of flows {'would be' if options['dry_run'] else 'were'} forgotten")
