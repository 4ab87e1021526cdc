"""`manage.py run`: all processes of a server, supervised by one."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from flyte_site.core.metrics import shared_directory
from flyte_site.server.db_setup import count_missing_migrations, migrate, set_up_first_admin
from flyte_site.server.start_notice import SETUP_NOTICE, UPGRADE_NOTICE, is_on_terminal
from flyte_site.server.supervisor import ChildProcess, Supervisor


class Command(BaseCommand):
    """The command that migrates the database, then runs the server and the periodic jobs until stopped."""

    help = (
        "Migrate the database, serve the API and run the periodic jobs: in Celery's worker and beat if "
        "FLYTE_REDIS_URL is set, else in a separate process. SIGTERM or Ctrl-C finishes requests in progress and "
        "stops; SIGHUP reloads the TLS certificate."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-migrate", action="store_true", help="do not migrate the database")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["no_migrate"]:
            set_up_database()
        connections.close_all()
        names = ["serve", "worker", "beat"] if settings.FLYTE_REDIS_URL else ["serve", "jobs"]
        manage_command = [sys.executable, str(settings.BASE_DIR / "manage.py")]
        children = [ChildProcess(name, [*manage_command, name], reloads_on_hangup=name == "serve") for name in names]
        with shared_directory(settings.FLYTE_METRICS_PATH) as folder:
            code = Supervisor(children, get_child_environment() | {"FLYTE_METRICS_PATH": folder}).run()
        if code:
            sys.exit(code)


def set_up_database() -> None:
    """Migrate the database. On a terminal, `serve` creates the first account and prints it when ready."""
    if not is_on_terminal():
        migrate()
        set_up_first_admin()
        return
    missing, applied = count_missing_migrations()
    if missing:
        print(f"flyte: {UPGRADE_NOTICE if applied else SETUP_NOTICE}", file=sys.stderr, flush=True)
    migrate()


def get_child_environment() -> dict[str, str]:
    """Return the environment of this process, with the operator's TZ instead of Django's."""
    inherited = {name: value for name, value in os.environ.items() if name != "TZ"}
    return inherited | ({"TZ": settings.TZ} if settings.TZ else {})
