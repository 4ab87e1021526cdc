"""How long to wait and when to give up: growing pauses while the server is away, and a graceful end."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from flyte_client.errors import ServerAwayError

T = TypeVar("T")

SHORTEST_PAUSE = 0.05
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
LAST_PAUSE = 1.0
FAILED = 500
LONGEST_FAILURE = 15 * 60.0

logger = logging.getLogger(__name__)


def growing_pauses() -> Iterator[float]:
    """Seconds between attempts: doubling from half a second to half a minute, and never twice the same.

    The random half keeps a hundred packs from coming back in one moment when their server has been restarted.
    """
    ceiling = FIRST_PAUSE
    while True:
        yield random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads load, guards nothing
        ceiling = min(ceiling * 2, LONGEST_PAUSE)


class Stopping:
    """The wish that the pack ends, as all of its threads see it."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._wake = threading.Event()
        self._since = 0.0
        self.when_idle = False

    def ask(self) -> None:
        """End as soon as what is held is done. Safe in a signal handler if its thread waits for none of this."""
        if not self._asked.is_set():
            self._since = time.monotonic()
            self._asked.set()
            self._wake.set()

    def ask_when_idle(self) -> None:
        """End as soon as nothing is left to do, neither here nor waiting at the server."""
        self.when_idle = True
        self._wake.set()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    @property
    def soon(self) -> bool:
        """Whether either end was asked for: from then on nothing is worth a long wait."""
        return self._wake.is_set()

    def idle(self, seconds: float | None = None) -> None:
        """Sleep while there is nothing to do: for `seconds`, or until either end is asked for."""
        self._wake.wait(seconds)

    def pause(self, seconds: float, grace: float = 0.0) -> bool:
        """Sleep before another attempt, and tell whether there should be one.

        Until the end is asked for there always is. From then on attempts go on for `grace` seconds; a pause that is
        under way is cut short and the others are short, so that attempts are made while there is still time for them.
        """
        if not self.asked:
            if self._asked.wait(seconds):
                return grace > 0
            return True
        left = self._since + grace - time.monotonic()
        time.sleep(max(0.0, min(seconds, left, LAST_PAUSE)))
        return left > 0


def persist(call: Callable[[], T], what: str, stopping: Stopping, grace: float = 0.0, until: float | None = None) -> T:
    """Make `call` until it no longer raises `ServerAwayError`; give up, and raise that, only when the pack is to end.

    A pause that the server asks for is kept instead of ours. `what` names the call in the log, `grace` is as
    `Stopping.pause` has it. From `until`, a time of `time.monotonic`, no further attempt is made, either.
    """
    for own_pause in growing_pauses():
        try:
            return call()
        except ServerAwayError as away:
            pause = own_pause if away.retry_after is None else max(away.retry_after, SHORTEST_PAUSE)
            logger.warning("server_away call=%s wait_s=%.1f reason=%r", what, pause, str(away))
            if _too_late(pause, until) or not stopping.pause(pause, grace):
                raise
    raise AssertionError("the pauses never end")


def _too_late(pause: float, until: float | None) -> bool:
    return until is not None and time.monotonic() + pause > until


class Bearing:
    """How long a server that says 500 to a result, and says nothing else, is borne.

    The original answers so for ever to a result that it has already, as it does once when its answer to that got lost.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def bears(self, away: ServerAwayError) -> bool:
        if away.status != FAILED:
            self._since = None
            return True
        if self._since is None:
            self._since = time.monotonic()
        return time.monotonic() - self._since < LONGEST_FAILURE
