"""`manage.py rotate_encryption_keys`: what older keys have encrypted is encrypted with the first one."""

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError

from datastore import saving
from flyte_site.encryption import NoKeysError
from flyte_site.periodic.by_hand import DatabaseCommand
from flyte_site.renewal import Renewed
from packs import queue
from packs.webapi import resources


class Command(DatabaseCommand):
    """When it has run without a word of what can't be read, only the first of FLYTE_ENCRYPTION_KEYS is needed."""

    help = (
        "Encrypt secret items, actions' secrets and what hosted packs remember with the first of "
        "FLYTE_ENCRYPTION_KEYS, where another one did it. The server may run meanwhile, if it has the same keys. "
        "Exit codes: 0 done, 1 some can't be read, 2 no keys."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run: bool = options["dry_run"]
        try:
            done = [
                self.told("datastore items", saving.renew(dry_run=dry_run), dry_run),
                self.told("actions", queue.renew_secrets(dry_run=dry_run), dry_run),
                self.told("resources of hosted packs", resources.renew_meta(dry_run=dry_run), dry_run),
            ]
        except NoKeysError as error:
            raise CommandError(f"this {error}", returncode=2) from None
        if any(each.unreadable for each in done):
            raise CommandError("some can't be read with any of the keys; they stay as they are")

    def told(self, what: str, slices: Iterable[Renewed], dry_run: bool) -> Renewed:
        """Go through the slices, and tell what came of all."""
        done = sum(slices, Renewed())
        lost = f", {done.unreadable} can't be read" if done.unreadable else ""
        would = "would be" if dry_run else "were"
        self.stdout.write(f"{done.renewed} of {done.seen} {what} {would} encrypted anew{lost}")
        return done
