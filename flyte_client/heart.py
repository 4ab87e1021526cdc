"""Heartbeats: tell the server now and then which actions are still worked on, and learn which are nobody's any more."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flyte_client import patience
from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.server import Lease

# A third of the lease leaves time for two more attempts. Less than a second would only be load; and since an answer
# also tells that an action was cancelled, people should not have to wait for the next one longer than a minute.
SHORTEST_REST = 1.0
LONGEST_REST = 60.0
# A handler that hangs must not keep its action for ever: after a day nobody says any more that it is worked on.
LONGEST_WORK = 24 * 60 * 60.0

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Beat:
    """One lease that is kept up: when its next heartbeat is due, and whom to tell when it is over."""

    lease: Lease
    over: Callable[[], None]
    due: float = 0.0
    began: float = field(default_factory=time.monotonic)
    after_failure: Iterator[float] = field(default_factory=patience.growing_pauses)

    @property
    def rest(self) -> float:
        """Seconds to the next heartbeat: never more than its share, so that the shortest lease is kept, too."""
        share = min(max(self.lease.seconds / 3, SHORTEST_REST), LONGEST_REST)
        return share * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, guards nothing

    @property
    def too_long(self) -> bool:
        """Whether the work takes longer than work may, and than the step allows anyway."""
        return time.monotonic() - self.began > max(LONGEST_WORK, self.lease.seconds)

    def again(self) -> None:
        """Be due at the usual time."""
        self.due = time.monotonic() + self.rest
        self.after_failure = patience.growing_pauses()

    def again_soon(self, wanted: float | None) -> float:
        """Be due after the pause that the server wants, or a growing one, but no later than usual; the seconds."""
        pause = min(self.rest, next(self.after_failure) if wanted is None else max(wanted, patience.SHORTEST_PAUSE))
        self.due = time.monotonic() + pause
        return pause


class Heart:
    """One thread for all leases; there is none as long as no action has a lease.

    `extend` makes one call of at most so many seconds, and tells whether the lease goes on. What it raises never ends
    the work on an action: only the server's word does.
    """

    def __init__(self, extend: Callable[[Lease, float], bool]) -> None:
        self._extend = extend
        self._beats: set[Beat] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    @contextmanager
    def beating(self, lease: Lease | None, over: Callable[[], None]) -> Iterator[None]:
        """Keep the lease up for as long as the block runs; `over` is called if the server says that it has ended."""
        if lease is None:
            yield
            return
        beat = Beat(lease, over)
        self._add(beat)
        try:
            yield
        finally:
            self._remove(beat)

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _add(self, beat: Beat) -> None:
        beat.again()  # the take has begun the lease
        with self._changed:
            self._beats.add(beat)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
                self._thread.start()

    def _remove(self, beat: Beat) -> bool:
        with self._changed:
            known = beat in self._beats
            self._beats.discard(beat)
            return known

    def _run(self) -> None:
        while beat := self._due():
            self._make(beat)

    def _due(self) -> Beat | None:
        """The beat whose time has come, which is waited for; None at the end."""
        with self._changed:
            while not self._stopped:
                first = min(self._beats, key=lambda beat: beat.due, default=None)
                left = first.due - time.monotonic() if first else None
                if left is not None and left <= 0:
                    return first
                self._changed.wait(left)
        return None

    def _make(self, beat: Beat) -> None:
        if beat.too_long:
            logger.warning("heartbeats_ended after_s=%.0f url=%s", time.monotonic() - beat.began, beat.lease.heartbeat)
            self._remove(beat)
            return
        try:
            goes_on = self._extend(beat.lease, max(beat.lease.seconds / 3, SHORTEST_REST))
        except ServerAwayError as away:
            pause = beat.again_soon(away.retry_after)
            logger.warning("server_away call=heartbeat wait_s=%.1f reason=%r", pause, str(away))
        except RefusedError as refusal:
            beat.again()
            logger.warning("heartbeat_refused status=%s reason=%r", refusal.status, refusal.detail)
        except Exception:
            beat.again()  # whatever is wrong with this one, the others' hearts go on
            logger.exception("heartbeat_failed")
        else:
            beat.again()
            if not goes_on and self._remove(beat):
                beat.over()
