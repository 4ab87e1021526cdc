"""The set-up of the database at the start: its migrations and the first account."""

import sys
import time
from typing import NoReturn

import structlog
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from flyte_site.console.accounts import FIRST_ADMIN_USERNAME, create_first_admin
from flyte_site.core.observability.safe_tracebacks import safe_database_message

log = structlog.get_logger(__name__)

# The pause between two attempts to connect doubles up to the maximum.
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.25, 5.0

_FIRST_ADMIN_NOTICE = """
  The console's first account. The password is shown only once; choose a new one when you sign in.

      name:      {name}
      password:  {password}
"""


def wait_for_database() -> None:
    """Wait until PostgreSQL accepts connections. Log why it does not, and when it does again.

    SQLite's file is on this machine: if it can't be opened now, it can't be opened later either.
    """
    start, pause, reason = time.monotonic(), MIN_PAUSE_SECONDS, ""
    while connection.vendor == "postgresql":
        try:
            connection.ensure_connection()
        except OperationalError as error:
            if safe_database_message(error) != reason:
                reason = safe_database_message(error)
                log.error("database_away", error=reason)
        else:
            break
        time.sleep(pause)
        pause = min(2 * pause, MAX_PAUSE_SECONDS)
    if reason:
        log.info("database_back", seconds=round(time.monotonic() - start))


def migrate() -> None:
    """Apply the missing migrations, one process at a time; others wait and then find none missing."""
    call_command("migrate", verbosity=0, interactive=False)


def require_migrated() -> None:
    """Exit with one line and code 2 if the database lacks migrations or is not usable.

    If the database is unavailable, log that and continue, because it may soon be back.
    """
    try:
        missing, _ = count_missing_migrations()
    except OperationalError as error:
        log.error("database_away", error=safe_database_message(error))
        return
    except DatabaseError as error:
        _exit_with_error(f"not a usable database ({safe_database_message(error)})")
    finally:
        connection.close()
    if missing:
        _exit_with_error(f"{missing} migrations are missing: run `manage.py migrate` first")


def count_missing_migrations() -> tuple[int, int]:
    """Count the missing and the applied migrations. Raises `DatabaseError`."""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return len(missing), len(executor.loader.applied_migrations)


def _exit_with_error(reason: str) -> NoReturn:
    print(f"flyte: FLYTE_DATABASE_URL: {reason}", file=sys.stderr)
    sys.exit(2)


def set_up_first_admin() -> None:
    """Create the first account if no account exists, and print its password: once, and never to a log."""
    if password := try_create_first_admin():
        print(_FIRST_ADMIN_NOTICE.format(name=FIRST_ADMIN_USERNAME, password=password), file=sys.stderr, flush=True)


def try_create_first_admin() -> str | None:
    """Create the first account if no account exists; return its password, which the caller must print.

    If the database is unavailable, the next start tries again.
    """
    try:
        return create_first_admin()
    except OperationalError:
        return None
