"""How long to wait and when to give up: growing pauses while the server is away, and a graceful end."""

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
    """Seconds between attempts: doubling from half a second to half a minute, and never twice the same.

    The random half keeps a hundred packs from coming back in one moment when their server has been restarted.
    """
    ceiling = INITIAL_BACKOFF
    while True:
        yield random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads load, guards nothing
        ceiling = min(ceiling * 2, MAX_BACKOFF)


class Shutdown:
    """The wish that the pack ends, as all of its threads see it."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._wakeup = threading.Event()
        self._requested_at = 0.0
        self.is_requested_when_idle = False

    def request(self) -> None:
        """End as soon as what is held is done. Safe in a signal handler if its thread waits for none of this."""
        if not self._requested.is_set():
            self._requested_at = time.monotonic()
            self._requested.set()
            self._wakeup.set()

    def request_when_idle(self) -> None:
        """End as soon as nothing is left to do, neither here nor waiting at the server."""
        self.is_requested_when_idle = True
        self._wakeup.set()

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    @property
    def is_pending(self) -> bool:
        """Whether either end was asked for: from then on nothing is worth a long wait."""
        return self._wakeup.is_set()

    def wait_idle(self, seconds: float | None = None) -> None:
        """Sleep while there is nothing to do: for `seconds`, or until either end is asked for."""
        self._wakeup.wait(seconds)

    def wait_before_retry(self, seconds: float, grace: float = 0.0) -> bool:
        """Sleep before another attempt, and tell whether there should be one.

        Until the end is asked for there always is. From then on attempts go on for `grace` seconds; a pause that is
        under way is cut short and the others are short, so that attempts are made while there is still time for them.
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
    """Make `call` until it no longer raises `ServerAwayError`; give up, and raise that, only when the pack is to end.

    A pause that the server asks for is kept instead of ours. `what` names the call in the log, `grace` is as
    `Stopping.pause` has it. From `until`, a time of `time.monotonic`, no further attempt is made, either.
    """
    for backoff_delay in backoff():
        try:
            return call()
        except ServerAwayError as error:
            delay = backoff_delay if error.retry_after is None else max(error.retry_after, MIN_BACKOFF)
            logger.warning("server_away call=%s wait_s=%.1f reason=%r", call_name, delay, str(error))
            if _is_past_deadline(delay, deadline) or not shutdown.wait_before_retry(delay, grace):
                raise
    raise AssertionError("the pauses never end")


def _is_past_deadline(delay: float, deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() + delay > deadline


class ServerErrorTimeout:
    """How long a server that says 500 to a result, and says nothing else, is borne.

    The original answers so for ever to a result that it has already, as it does once when its answer to that got lost.
    """

    def __init__(self) -> None:
        self._first_error_at: float | None = None

    def can_retry(self, error: ServerAwayError) -> bool:
        if error.status != INTERNAL_SERVER_ERROR:
            self._first_error_at = None
            return True
        if self._first_error_at is None:
            self._first_error_at = time.monotonic()
        return time.monotonic() - self._first_error_at < MAX_SERVER_ERROR_SECONDS
