"""Conflicts of concurrent transactions: recognize them, run the transaction again, and explain them."""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import Error, IntegrityError, InterfaceError, OperationalError, connection

MAX_RETRIES = 5
MAX_PAUSE_SECONDS = 0.02
UNAVAILABLE_DETAIL = "the database is unavailable"

# SQLSTATEs of PostgreSQL.
_DEADLOCK_DETECTED, _SERIALIZATION_FAILURE = "40P01", "40001"
_LOCK_NOT_AVAILABLE, _QUERY_CANCELED, _IDLE_IN_TRANSACTION_TIMEOUT = "55P03", "57014", "25P03"
_BUSY_DETAILS = {
    _DEADLOCK_DETECTED: "concurrent requests changed the same data; try again",
    _SERIALIZATION_FAILURE: "concurrent requests changed the same data; try again",
    _LOCK_NOT_AVAILABLE: "another transaction has locked the same data; try again",
    _QUERY_CANCELED: "the database took too long; try again",
    _IDLE_IN_TRANSACTION_TIMEOUT: "the transaction was idle for too long; try again",
}

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseBusyError(OperationalError):
    """Too many transactions wait for the same row; the message is for the caller, who can try again."""


def retry_conflicts(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that writes in one transaction: run it again if a concurrent transaction made it fail.

    Inside a transaction of the caller it runs once, since only the whole transaction can be repeated.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(MAX_RETRIES):
            try:
                return function(*args, **kwargs)
            except (OperationalError, IntegrityError) as error:
                if connection.in_atomic_block or not _is_conflict(error):
                    raise
            time.sleep(random.uniform(0, MAX_PAUSE_SECONDS))  # noqa: S311
        return function(*args, **kwargs)

    return run


def is_lock_conflict(error: Exception) -> bool:
    """Return True if another transaction made this one fail, and the connection is still usable."""
    busy_states = (_DEADLOCK_DETECTED, _SERIALIZATION_FAILURE, _LOCK_NOT_AVAILABLE)
    return isinstance(error, DatabaseBusyError) or _get_sqlstate(error) in busy_states


def is_unavailable(error: Exception) -> bool:
    """Return True for a failure of the database itself: the caller can try again."""
    is_idle_timeout = isinstance(error, Error) and _get_sqlstate(error) == _IDLE_IN_TRANSACTION_TIMEOUT
    return isinstance(error, OperationalError | InterfaceError) or is_idle_timeout


def describe_busy(error: Exception) -> str:
    """Return the reason for the caller if the database works, but not for this request now; otherwise ''."""
    return str(error) if isinstance(error, DatabaseBusyError) else _BUSY_DETAILS.get(_get_sqlstate(error), "")


def _is_conflict(error: Exception) -> bool:
    """Return True if the same transaction can succeed the next time.

    An IntegrityError is one if the row was inserted or deleted meanwhile; a defect fails again.
    """
    is_rolled_back = _get_sqlstate(error) in (_DEADLOCK_DETECTED, _SERIALIZATION_FAILURE)
    return is_rolled_back or isinstance(error, IntegrityError)


def _get_sqlstate(error: Exception) -> str:
    """Return PostgreSQL's code of an error; '' if it has none."""
    return getattr(error.__cause__ or error, "sqlstate", None) or ""
