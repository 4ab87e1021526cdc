"""`manage.py run`: everything that a server is made of, under one roof."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from flyte_site.core.metrics import shared_directory
from flyte_site.server.db_setup import migrate, set_up_first_admin
from flyte_site.server.supervisor import ChildProcess, Supervisor


class Command(BaseCommand):
    """Migrates, then serves and does the periodic jobs until it is told to stop."""

    help = (
        "Bring the database up to date, serve the API and do the periodic jobs: by Celery's worker and beat where "
        "FLYTE_REDIS_URL is set, else by a process of its own. SIGTERM or Ctrl-C finishes what is under way and stops; "
        "SIGHUP reads the TLS certificate anew."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-migrate", action="store_true", help="leave the database as it is")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["no_migrate"]:
            migrate()
            set_up_first_admin()
        connections.close_all()
        names = ["serve", "worker", "beat"] if settings.FLYTE_REDIS_URL else ["serve", "jobs"]
        manage_command = [sys.executable, str(settings.BASE_DIR / "manage.py")]
        children = [ChildProcess(name, [*manage_command, name], reloads_on_hangup=name == "serve") for name in names]
        with shared_directory(settings.FLYTE_METRICS_PATH) as folder:
            code = Supervisor(children, get_child_environment() | {"FLYTE_METRICS_PATH": folder}).run()
        if code:
            sys.exit(code)


def get_child_environment() -> dict[str, str]:
    """What was set, without what Django made of TZ."""
    inherited = {name: value for name, value in os.environ.items() if name != "TZ"}
    return inherited | ({"TZ": settings.TZ} if settings.TZ else {})
