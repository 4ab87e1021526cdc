"""Retries with backoff while the server is unreachable, and graceful shutdown."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from flyte_client.errors import ServerAwayError

T = TypeVar("T")

MIN_BACKOFF = 0.05
INITIAL_BACKOFF = 0.5
MAX_BACKOFF = 30.0
MAX_SHUTDOWN_BACKOFF = 1.0
INTERNAL_SERVER_ERROR = 500
MAX_SERVER_ERROR_SECONDS = 15 * 60.0

logger = logging.getLogger(__name__)


def backoff() -> Iterator[float]:
    """Yield delays in seconds between attempts: exponential from half a second to half a minute, with jitter.

    The jitter keeps many packs from reconnecting at the same moment after a server restart.
    """
    ceiling = INITIAL_BACKOFF
    while True:
        yield random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads load, guards nothing
        ceiling = min(ceiling * 2, MAX_BACKOFF)


class Shutdown:
    """Shutdown request of a pack, shared by all its threads."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._wakeup = threading.Event()
        self._requested_at = 0.0
        self.is_requested_when_idle = False

    def request(self) -> None:
        """Request shutdown after the running actions. Safe in a signal handler if its thread never waits on this."""
        if not self._requested.is_set():
            self._requested_at = time.monotonic()
            self._requested.set()
            self._wakeup.set()

    def request_when_idle(self) -> None:
        """Request shutdown when no action is running or queued on the server."""
        self.is_requested_when_idle = True
        self._wakeup.set()

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    @property
    def is_pending(self) -> bool:
        """True if either kind of shutdown was requested: from then on, do not wait long for anything."""
        return self._wakeup.is_set()

    def wait_idle(self, seconds: float | None = None) -> None:
        """Sleep for `seconds`, or until either kind of shutdown is requested."""
        self._wakeup.wait(seconds)

    def wait_before_retry(self, seconds: float, grace: float = 0.0) -> bool:
        """Sleep before a retry; return True if there should be one.

        Before a shutdown request there always is. After it, retries continue for `grace` seconds; the current sleep is
        interrupted and later ones are short, so that retries fit into that time.
        """
        if not self.is_requested:
            if self._requested.wait(seconds):
                return grace > 0
            return True
        remaining = self._requested_at + grace - time.monotonic()
        time.sleep(max(0.0, min(seconds, remaining, MAX_SHUTDOWN_BACKOFF)))
        return remaining > 0


def retry_until_stopped(
    call: Callable[[], T], call_name: str, shutdown: Shutdown, grace: float = 0.0, deadline: float | None = None
) -> T:
    """Retry `call` while it raises `ServerAwayError`; raise that error only on shutdown or after the deadline.

    A delay that the server asks for replaces the backoff. `call_name` names the call in the log, `grace` is as in
    `Shutdown.wait_before_retry`. No attempt starts after `deadline`, a time of `time.monotonic`.
    """
    for backoff_delay in backoff():
        try:
            return call()
        except ServerAwayError as error:
            delay = backoff_delay if error.retry_after is None else max(error.retry_after, MIN_BACKOFF)
            logger.warning("server_away call=%s wait_s=%.1f reason=%r", call_name, delay, str(error))
            if _is_past_deadline(delay, deadline) or not shutdown.wait_before_retry(delay, grace):
                raise
    raise AssertionError("unreachable: backoff() never ends")


def _is_past_deadline(delay: float, deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() + delay > deadline


class ServerErrorTimeout:
    """Limit for retries of a result that the server always answers with 500.

    The original server answers 500 to every repeated result, for example when its first response was lost.
    """

    def __init__(self) -> None:
        self._first_error_at: float | None = None

    def can_retry(self, error: ServerAwayError) -> bool:
        """Return False if all responses were 500 for `MAX_SERVER_ERROR_SECONDS`."""
        if error.status != INTERNAL_SERVER_ERROR:
            self._first_error_at = None
            return True
        if self._first_error_at is None:
            self._first_error_at = time.monotonic()
        return time.monotonic() - self._first_error_at < MAX_SERVER_ERROR_SECONDS
