"""Timeouts and keepalives of PostgreSQL sessions: a transaction that never ends must not stop all others.

Requests have short timeouts, periodic jobs longer ones, and commands none: a migration can take hours.
"""

from dataclasses import dataclass

from django.conf import settings

# The database closes a session after this many keepalives without an answer.
KEEPALIVE_COUNT = 3


@dataclass(frozen=True)
class SessionTimeouts:
    """Timeouts of a session in seconds; 0 means no limit.

    `lock`: the wait for a lock; `statement`: the duration of a statement; `idle`: the time between two statements of a
    transaction.
    """

    lock: int = 0
    statement: int = 0
    idle: int = 0


_process_timeouts = SessionTimeouts()


def use_request_timeouts() -> None:
    """Give the sessions of this process the timeouts of requests. Call this before it connects."""
    _set_process_timeouts(
        SessionTimeouts(
            settings.FLYTE_REQUEST_LOCK_SECONDS,
            settings.FLYTE_REQUEST_STATEMENT_SECONDS,
            settings.FLYTE_REQUEST_IDLE_SECONDS,
        )
    )


def use_job_timeouts() -> None:
    """Give the sessions of this process the timeouts of periodic jobs. Call this before it connects."""
    _set_process_timeouts(
        SessionTimeouts(
            settings.FLYTE_JOB_LOCK_SECONDS, settings.FLYTE_JOB_STATEMENT_SECONDS, settings.FLYTE_JOB_IDLE_SECONDS
        )
    )


def get_session_timeouts() -> SessionTimeouts:
    """Return the timeouts of this process's sessions."""
    return _process_timeouts


def build_session_settings() -> dict[str, str]:
    """Build PostgreSQL's settings of a new session.

    Just-in-time compilation is off: it takes PostgreSQL many times as long as any of our statements runs, and without
    statistics of a table it can't estimate that. Keepalives let the database notice a client that has vanished.
    """
    timeouts, keepalive = get_session_timeouts(), str(settings.FLYTE_DATABASE_KEEPALIVE_SECONDS)
    return {
        "jit": "off",
        "lock_timeout": f"{timeouts.lock}s",
        "statement_timeout": f"{timeouts.statement}s",
        "idle_in_transaction_session_timeout": f"{timeouts.idle}s",
        "tcp_keepalives_idle": keepalive,
        "tcp_keepalives_interval": keepalive,
        "tcp_keepalives_count": str(KEEPALIVE_COUNT),
    }


def _set_process_timeouts(timeouts: SessionTimeouts) -> None:
    global _process_timeouts
    _process_timeouts = timeouts
