"""The log of an outage: a line at its start, and summaries instead of a line for each request."""

import threading
import time

import structlog

from flyte_site.core.runtime import process_wide

log = structlog.get_logger(__name__)

SUMMARY_SECONDS = 10.0


class OutageLog:
    """Failures of the database in this process, logged at most once in SUMMARY_SECONDS."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged_at = -SUMMARY_SECONDS
        self._failures = 0

    def record(self, error: str) -> None:
        """Log a failure, or count it for the next line."""
        with self._lock:
            self._failures += 1
            if time.monotonic() - self._logged_at < SUMMARY_SECONDS:
                return
            failures, self._failures, self._logged_at = self._failures, 0, time.monotonic()
        log.error("database_away", error=error, failures=failures)


@process_wide
def outage_log() -> OutageLog:
    """Return the log of this process."""
    return OutageLog()
