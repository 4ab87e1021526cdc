"""Base classes of management commands: without system checks, and to run a periodic job by hand."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, ClassVar

from django.core.management.base import BaseCommand


class DatabaseCommand(BaseCommand):
    """A command that skips the system checks, because the checks of routes import every page.

    `manage.py` has already rejected invalid settings; `manage.py check` runs the other checks.
    """

    requires_system_checks = ()


class JobCommand(DatabaseCommand):
    """A command that runs `job`, or with `--dry-run` only counts, and prints the number of affected rows.

    `nouns` is the word for one row, and for several; `participle` says what the job does to them.
    """

    job: ClassVar[Callable[..., int]]
    nouns: ClassVar[tuple[str, str]]
    participle: ClassVar[str] = "deleted"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count, change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        count = type(self).job(dry_run=options["dry_run"])
        noun, verb = (self.nouns[0], "was") if count == 1 else (self.nouns[1], "were")
        self.stdout.write(f"{count} {noun} {'would be' if options['dry_run'] else verb} {self.participle}")
