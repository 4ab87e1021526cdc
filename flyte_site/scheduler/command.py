"""A periodic job as a command of its name: what the server does by the clock, done when somebody asks."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, ClassVar

from django.core.management.base import BaseCommand


class DatabaseCommand(BaseCommand):
    """A command that serves nothing: it skips the system checks, whose checks of routes import every page.

    `manage.py` has already refused invalid settings; `manage.py check` has the other checks.
    """

    requires_system_checks = ()


class JobCommand(DatabaseCommand):
    """Does `job`, or with `--dry-run` only counts, and tells the number that it gives.

    `result_message` has places for `{count}` and `{were}`: `dry_run_verb` in a dry run, else `done_verb`.
    """

    job: ClassVar[Callable[..., int]]
    result_message: ClassVar[str]
    dry_run_verb, done_verb = "would be", "were"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        count = type(self).job(dry_run=dry_run)
        self.stdout.write(
            self.result_message.format(count=count, were=self.dry_run_verb if dry_run else self.done_verb)
        )
