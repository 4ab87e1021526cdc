"""`manage.py migrate`: Django's command, which waits while another process migrates the database."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from flyte_site.server.migration_lock import lock_migrations


class Command(migrate.Command):
    """The command that creates or updates the tables, one process at a time."""

    help = "Create or update the tables of the database. Wait while another process does"

    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        with lock_migrations(connections[options["database"]]):
            super().handle(*args, **options)
