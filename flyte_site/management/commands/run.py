"""`manage.py run`: all processes of a server, supervised by one."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from flyte_site.core.observability.metrics import shared_directory
from flyte_site.server.db_setup import count_missing_migrations, migrate, set_up_first_admin, wait_for_database
from flyte_site.server.inherited_sockets import find_inherited_sockets
from flyte_site.server.start_notice import SETUP_NOTICE, UPGRADE_NOTICE, is_on_terminal
from flyte_site.server.supervisor import ChildProcess, Supervisor

# The exit code of a program that Ctrl-C ended, as shells expect it.
INTERRUPTED = 130


class Command(BaseCommand):
    """The command that migrates the database, then runs the server and the periodic jobs until stopped."""

    help = (
        "Migrate the database, serve the API and run the periodic jobs: in Celery's worker and beat if "
        "FLYTE_REDIS_URL is set, else in a separate process. SIGTERM or Ctrl-C finishes requests in progress and "
        "stops; SIGHUP reloads the TLS certificate."
    )
    # `serve` runs the checks. They load all pages and routes, which this process does not use.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-migrate", action="store_true", help="do not migrate the database")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["no_migrate"]:
            try:
                set_up_database()
            except KeyboardInterrupt:
                sys.exit(INTERRUPTED)
        connections.close_all()
        names = ["serve", "worker", "beat"] if settings.FLYTE_REDIS_URL else ["serve", "jobs"]
        manage_command = [sys.executable, str(settings.BASE_DIR / "manage.py")]
        server, *others = (ChildProcess(name, [*manage_command, name]) for name in names)
        server.reloads_on_hangup, server.inherited_fds = True, find_inherited_sockets()
        with shared_directory(settings.FLYTE_METRICS_PATH) as folder:
            code = Supervisor([server, *others], get_child_environment() | {"FLYTE_METRICS_PATH": folder}).run()
        if code:
            sys.exit(code)


def set_up_database() -> None:
    """Wait for the database and migrate it. On a terminal, `serve` creates the first account, which it prints later."""
    wait_for_database()
    missing, applied = count_missing_migrations()
    if missing and is_on_terminal():
        print(f"flyte: {UPGRADE_NOTICE if applied else SETUP_NOTICE}", file=sys.stderr, flush=True)
    if missing:
        migrate()
    if not is_on_terminal():
        set_up_first_admin()


def get_child_environment() -> dict[str, str]:
    """Return the environment of this process, with the operator's TZ instead of Django's."""
    inherited = {name: value for name, value in os.environ.items() if name != "TZ"}
    return inherited | ({"TZ": settings.TZ} if settings.TZ else {})
