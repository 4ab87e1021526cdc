"""`manage.py delete_dead_packs`: delete packs that were silent for long."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from packs.tasks import delete_dead_packs, orphaned_without_dead_packs


class Command(BaseCommand):
    """What the server does by itself once a day where FLYTE_SHOULD_DELETE_DEAD_PACKS says so."""

    help = (
        "Delete packs that were not seen for FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS, "
        "whether or not the server does so by itself."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        count = delete_dead_packs(dry_run=dry_run)
        self.stdout.write(f"{count} packs {'would be' if dry_run else 'were'} deleted")
        left = orphaned_without_dead_packs()
        if left.count:
            least = "at least " if left.bounded else ""
            verb = "would wait" if dry_run else "wait"
            self.stdout.write(f"{least}{left.count} actions {verb} for packs that are not registered")
