"""The database's clock, which all machines share, and its steps.

Clocks of machines differ, and a clock can be set. What waits or runs is therefore compared with the time of the
database, and the steps forward that this process has noticed are not counted as time that has passed.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import connection
from django.utils import timezone

from flyte_site.core.runtime import process_wide

log = structlog.get_logger(__name__)

# PostgreSQL's clock is read at most this often; between two readings the time is computed.
READ_INTERVAL_SECONDS = 5.0
# A smaller difference is an adjustment, or a slow answer.
MIN_STEP = timedelta(seconds=2)
MAX_STEPS = 20


@dataclass(frozen=True)
class ClockStep:
    """A step forward of `size`. `noticed_at`: the time that it would have been without the step."""

    noticed_at: datetime
    size: timedelta


class DatabaseClock:
    """A clock that `read` returns, and the differences between it and the time that has passed in this process."""

    def __init__(
        self,
        read: Callable[[], datetime],
        read_interval: float = READ_INTERVAL_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._read_interval, self._monotonic = read, read_interval, monotonic
        self._lock = threading.Lock()
        self._base: tuple[datetime, float] | None = None
        self._steps: deque[ClockStep] = deque(maxlen=MAX_STEPS)

    def now(self) -> datetime:
        """Return the time of the database. Raise `django.db.Error`."""
        base = self._base
        if base is None or self._monotonic() - base[1] >= self._read_interval:
            base = self._observe()
        return base[0] + timedelta(seconds=self._monotonic() - base[1]) if self._read_interval else base[0]

    def now_without_steps(self) -> datetime:
        """Return the time without the steps forward that this process has noticed."""
        now = self.now()
        return now - sum((step.size for step in self._steps), timedelta(0))

    def has_passed(self, start: datetime, end: datetime) -> bool:
        """Return True if a period from `start` to `end` is over; steps forward of the clock make it longer."""
        now = self.now()
        return end + sum((step.size for step in self._steps if start <= step.noticed_at), timedelta(0)) <= now

    def _observe(self) -> tuple[datetime, float]:
        """Read the clock, and compare it with the time that has passed since the last reading."""
        sent = self._monotonic()
        read = self._read()
        base = (read, (sent + self._monotonic()) / 2)
        with self._lock:
            if self._base is not None and base[1] >= self._base[1]:
                expected = self._base[0] + timedelta(seconds=base[1] - self._base[1])
                if read - expected >= MIN_STEP:
                    self._steps.append(ClockStep(expected, read - expected))
                    log.warning("clock_stepped_forward", seconds=round((read - expected).total_seconds()))
            self._base = base
        return base


@process_wide
def database_clock() -> DatabaseClock:
    """Return the clock of this process's database: on SQLite, that of the machine."""
    if connection.vendor == "postgresql":
        return DatabaseClock(read_postgresql_time)
    return DatabaseClock(lambda: timezone.now(), read_interval=0)


def read_postgresql_time() -> datetime:
    """Return the time of PostgreSQL. Raises `django.db.Error`."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        moment: datetime = connection.connection.execute("SELECT clock_timestamp()").fetchone()[0]
    return moment
