"""`manage.py flows`: flows kept as files, for whoever is at the server; `flyte flows` does the same from afar."""

from argparse import ArgumentParser, Namespace
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from flows.shelf import Shelf, undivided
from flyte_client import flow_command
from flyte_client.errors import FlyteError
from flyte_client.flow_files import FilesError
from flyte_client.flow_sync import AT_FAULT, FAILED
from flyte_site.periodic.by_hand import DatabaseCommand


class Command(DatabaseCommand):
    """Reads and writes the database itself; no server need run. What is applied is applied whole, or not at all."""

    help = f"Check, compare, save and write flows kept as files. {flow_command.CODES}"

    def add_arguments(self, parser: ArgumentParser) -> None:
        flow_command.add_commands(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            code = flow_command.run(Shelf(), Namespace(**options), undivided)
        except FilesError as error:
            raise CommandError(str(error), returncode=AT_FAULT) from None
        except FlyteError as error:
            raise CommandError(str(error), returncode=FAILED) from None
        except DatabaseError as error:
            told = " ".join(str(error).split())[:200]
            raise CommandError(f"the database does not answer as it should: {told}", returncode=FAILED) from None
        if code:
            raise SystemExit(code)
