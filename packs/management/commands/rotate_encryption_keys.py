"""`manage.py rotate_encryption_keys`: encrypt data of older keys with the first one."""

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError

from datastore import service
from flyte_site.core.secrets.encryption import NoEncryptionKeysError, has_keys
from flyte_site.core.secrets.reencryption import ReencryptionCount
from flyte_site.scheduler.command import DatabaseCommand
from packs.hosted import resources
from packs.queue import action_secrets


class Command(DatabaseCommand):
    """After a run that reports nothing as unreadable, only the first of FLYTE_ENCRYPTION_KEYS is needed."""

    help = (
        "Re-encrypt all secrets with the first of FLYTE_ENCRYPTION_KEYS: those of items and actions, and the metadata "
        "of hosted packs. Values that already use this key are skipped. The server can keep running if it has the same "
        "keys. Exit codes: 0 done, 1 some values are unreadable, 2 no keys are set."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count, change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run: bool = options["dry_run"]
        if not has_keys():
            raise CommandError(f"this {NoEncryptionKeysError()}", returncode=2)
        counts = [
            self._report("datastore items", service.reencrypt_items(dry_run=dry_run), dry_run),
            self._report("actions", action_secrets.reencrypt_secrets(dry_run=dry_run), dry_run),
            self._report("resources of hosted packs", resources.reencrypt_meta(dry_run=dry_run), dry_run),
        ]
        if any(count.unreadable for count in counts):
            raise CommandError("some values can't be decrypted with any of the keys; they are unchanged")

    def _report(self, label: str, batches: Iterable[ReencryptionCount], dry_run: bool) -> ReencryptionCount:
        """Re-encrypt all batches, print a summary, and return the total."""
        total = sum(batches, ReencryptionCount())
        unreadable = f", {total.unreadable} unreadable" if total.unreadable else ""
        verb = "would be" if dry_run else "were"
        self.stdout.write(f"{total.reencrypted} of {total.examined} {label} {verb} re-encrypted{unreadable}")
        return total
