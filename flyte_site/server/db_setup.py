"""Bringing the database up to date, though several servers start at the same moment."""

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

# Any number that nothing else in this database locks.
ADVISORY_LOCK_ID = 0x466C797465

_FIRST_ADMIN_NOTICE = """
  The console's first account. The password is shown this once, and changed at the first sign-in.

      name:      {name}
      password:  {password}
"""


def migrate() -> None:
    """Apply what is missing; one process at a time, the others wait and find nothing left to do."""
    with _migration_lock():
        call_command("migrate", verbosity=0, interactive=False)


def require_migrated() -> None:
    """Stop the process with one line, exit code 2, where the database lacks migrations or can't be used at all.

    One that does not answer now may be back soon: that is logged, and no reason to stop.
    """
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except OperationalError as error:
        log.error("database_away", error=safe_database_message(error))
        return
    except DatabaseError as error:
        _exit_with_error(f"is no database that can be used ({safe_database_message(error)})")
    finally:
        connection.close()
    if missing:
        _exit_with_error(f"lacks {len(missing)} migrations: run `manage.py migrate` first")


def _exit_with_error(reason: str) -> NoReturn:
    print(f"flyte: FLYTE_DATABASE_URL: {reason}", file=sys.stderr)
    sys.exit(2)


def set_up_first_admin() -> None:
    """Make the first account where there is none, and tell its password on the terminal: once, and in no log.

    While the database is away there is no telling; the next start will see.
    """
    try:
        password = create_first_admin()
    except OperationalError:
        return
    if password:
        print(_FIRST_ADMIN_NOTICE.format(name=FIRST_ADMIN_USERNAME, password=password), file=sys.stderr, flush=True)


def _migration_lock() -> AbstractContextManager[None]:
    if connection.vendor == "postgresql":
        return _advisory_lock()
    return _folder_lock(Path(str(connection.settings_dict["NAME"])).absolute().parent)


@contextmanager
def _advisory_lock() -> Iterator[None]:
    """Held by the connection, so that it ends with its process too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK_ID])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK_ID])


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """On the folder that SQLite's file lies in: it is there before the file is, and nothing is left behind."""
    folder_fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(folder_fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder_fd)
