"""A test write, for the readiness check: a disk can be full or read-only although the database responds."""

import threading
import time
from dataclasses import dataclass, field

import structlog
from django.db import Error
from django.utils import timezone

from flyte_site.core.observability.safe_tracebacks import safe_database_message
from flyte_site.core.runtime import process_wide
from flyte_site.models import WriteProbe

log = structlog.get_logger(__name__)

PROBE_SECONDS = 10


@dataclass
class WriteProbeRunner:
    """The latest test write of this process."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    probed_at: float | None = None
    error: str = ""

    def find_error(self) -> str:
        """Return the reason why the database can't be written; '' if it can.

        Callers within PROBE_SECONDS of a test write get its outcome.
        """
        with self.lock:
            if self.probed_at is None or time.monotonic() - self.probed_at >= PROBE_SECONDS:
                self.error = _write()
                self.probed_at = time.monotonic()
            return self.error


@process_wide
def get_write_probe() -> WriteProbeRunner:
    """Return this process's test write."""
    return WriteProbeRunner()


def _write() -> str:
    try:
        WriteProbe.objects.update_or_create(pk=1, defaults={"written_at": timezone.now()})
    except Error as error:
        reason = safe_database_message(error)
        log.error("database_not_writable", error=reason)
        return reason
    return ""
