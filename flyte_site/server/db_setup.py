"""Migrations and the first account, with a lock for servers that start at the same moment."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn

import structlog
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from flyte_site.console.accounts import FIRST_ADMIN_USERNAME, create_first_admin
from flyte_site.core.safe_tracebacks import safe_database_message

log = structlog.get_logger(__name__)

# A number that no other program locks in this database.
ADVISORY_LOCK_ID = 0x466C797465

_FIRST_ADMIN_NOTICE = """
  The console's first account. The password is shown only once; choose a new one when you sign in.

      name:      {name}
      password:  {password}
"""


def migrate() -> None:
    """Apply the missing migrations, one process at a time; others wait and then find none missing."""
    with _migration_lock():
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


def _migration_lock() -> AbstractContextManager[None]:
    if connection.vendor == "postgresql":
        return _advisory_lock()
    return _folder_lock(Path(str(connection.settings_dict["NAME"])).absolute().parent)


@contextmanager
def _advisory_lock() -> Iterator[None]:
    """Hold a lock that belongs to the connection: it is released if the process ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK_ID])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK_ID])


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Lock the folder of SQLite's file, which exists before the file, so that no lock file is needed."""
    folder_fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(folder_fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder_fd)
