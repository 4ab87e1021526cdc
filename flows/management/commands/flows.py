"""`manage.py flows`: flows kept as files, applied on the server; `flyte flows` does the same over the network."""

from argparse import ArgumentParser, Namespace
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from flow_files import command_line
from flow_files.errors import FlowFilesError, FlowStoreError
from flow_files.sync import EXIT_FAILED, EXIT_INVALID
from flows.importers.files import LocalFlowStore, atomic
from flyte_site.scheduler.command import DatabaseCommand


class Command(DatabaseCommand):
    """Reads and writes the database directly; no server needs to run. Changes are applied in one transaction."""

    help = f"Check, compare, save or export flows kept in files. {command_line.EXIT_CODES_HELP}"

    def add_arguments(self, parser: ArgumentParser) -> None:
        command_line.add_subcommands(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            exit_code = command_line.run_command(LocalFlowStore(), Namespace(**options), atomic)
        except FlowFilesError as error:
            raise CommandError(str(error), returncode=EXIT_INVALID) from None
        except FlowStoreError as error:
            raise CommandError(str(error), returncode=EXIT_FAILED) from None
        except DatabaseError as error:
            message = " ".join(str(error).split())[:200]
            raise CommandError(f"database error: {message}", returncode=EXIT_FAILED) from None
        if exit_code:
            raise SystemExit(exit_code)
