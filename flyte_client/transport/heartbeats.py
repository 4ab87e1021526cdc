"""Heartbeats: tell the server now and then which actions are still worked on, and learn which are nobody's any more."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.transport import retry
from flyte_client.transport.server import Lease

# A third of the lease leaves time for two more attempts. Less than a second would only be load; and since an answer
# also tells that an action was cancelled, people should not have to wait for the next one longer than a minute.
MIN_INTERVAL = 1.0
MAX_INTERVAL = 60.0
# A handler that hangs must not keep its action for ever: after a day nobody says any more that it is worked on.
MAX_WORK_SECONDS = 24 * 60 * 60.0

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class LeaseHeartbeat:
    """One lease that is kept up: when its next heartbeat is due, and whom to tell when it is over."""

    lease: Lease
    on_lost: Callable[[], None]
    due_at: float = 0.0
    started_at: float = field(default_factory=time.monotonic)
    retry_delays: Iterator[float] = field(default_factory=retry.backoff)

    @property
    def interval(self) -> float:
        """Seconds to the next heartbeat: never more than its share, so that the shortest lease is kept, too."""
        interval = min(max(self.lease.seconds / 3, MIN_INTERVAL), MAX_INTERVAL)
        return interval * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, guards nothing

    @property
    def is_past_limit(self) -> bool:
        """Whether the work takes longer than work may, and than the step allows anyway."""
        return time.monotonic() - self.started_at > max(MAX_WORK_SECONDS, self.lease.seconds)

    def schedule_next(self) -> None:
        """Be due at the usual time."""
        self.due_at = time.monotonic() + self.interval
        self.retry_delays = retry.backoff()

    def schedule_retry(self, requested_delay: float | None) -> float:
        """Be due after the pause that the server wants, or a growing one, but no later than usual; the seconds."""
        delay = min(
            self.interval,
            next(self.retry_delays) if requested_delay is None else max(requested_delay, retry.MIN_BACKOFF),
        )
        self.due_at = time.monotonic() + delay
        return delay


class HeartbeatSender:
    """One thread for all leases; there is none as long as no action has a lease.

    `extend` makes one call of at most so many seconds, and tells whether the lease goes on. What it raises never ends
    the work on an action: only the server's word does.
    """

    def __init__(self, extend: Callable[[Lease, float], bool]) -> None:
        self._extend = extend
        self._heartbeats: set[LeaseHeartbeat] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    @contextmanager
    def keep_alive(self, lease: Lease | None, on_lost: Callable[[], None]) -> Iterator[None]:
        """Keep the lease up for as long as the block runs; `over` is called if the server says that it has ended."""
        if lease is None:
            yield
            return
        heartbeat = LeaseHeartbeat(lease, on_lost)
        self._add(heartbeat)
        try:
            yield
        finally:
            self._remove(heartbeat)

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _add(self, heartbeat: LeaseHeartbeat) -> None:
        heartbeat.schedule_next()  # the take has begun the lease
        with self._changed:
            self._heartbeats.add(heartbeat)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
                self._thread.start()

    def _remove(self, heartbeat: LeaseHeartbeat) -> bool:
        with self._changed:
            was_active = heartbeat in self._heartbeats
            self._heartbeats.discard(heartbeat)
            return was_active

    def _run(self) -> None:
        while heartbeat := self._wait_for_due():
            self._send(heartbeat)

    def _wait_for_due(self) -> LeaseHeartbeat | None:
        """The beat whose time has come, which is waited for; None at the end."""
        with self._changed:
            while not self._stopped:
                earliest = min(self._heartbeats, key=lambda heartbeat: heartbeat.due_at, default=None)
                remaining = earliest.due_at - time.monotonic() if earliest else None
                if remaining is not None and remaining <= 0:
                    return earliest
                self._changed.wait(remaining)
        return None

    def _send(self, heartbeat: LeaseHeartbeat) -> None:
        if heartbeat.is_past_limit:
            logger.warning(
                "heartbeats_ended after_s=%.0f url=%s",
                time.monotonic() - heartbeat.started_at,
                heartbeat.lease.heartbeat_url,
            )
            self._remove(heartbeat)
            return
        try:
            is_extended = self._extend(heartbeat.lease, max(heartbeat.lease.seconds / 3, MIN_INTERVAL))
        except ServerAwayError as error:
            delay = heartbeat.schedule_retry(error.retry_after)
            logger.warning("server_away call=heartbeat wait_s=%.1f reason=%r", delay, str(error))
        except RefusedError as error:
            heartbeat.schedule_next()
            logger.warning("heartbeat_refused status=%s reason=%r", error.status, error.detail)
        except Exception:
            heartbeat.schedule_next()  # whatever is wrong with this one, the others' hearts go on
            logger.exception("heartbeat_failed")
        else:
            heartbeat.schedule_next()
            if not is_extended and self._remove(heartbeat):
                heartbeat.on_lost()
