"""Heartbeats: extend the leases of running actions, and detect lost leases."""

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

# The interval is a third of the lease, which leaves time for two more attempts. Below a second it would only add load.
# Heartbeat responses also report cancellation, which should not take longer than a minute to arrive.
MIN_INTERVAL = 1.0
MAX_INTERVAL = 60.0
# A hanging handler must not keep its action forever: after a day heartbeats stop.
MAX_WORK_SECONDS = 24 * 60 * 60.0

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class LeaseHeartbeat:
    """The schedule of one lease's heartbeats, and the callback for a lost lease."""

    lease: Lease
    on_lost: Callable[[], None]
    due_at: float = 0.0
    started_at: float = field(default_factory=time.monotonic)
    retry_delays: Iterator[float] = field(default_factory=retry.backoff)

    @property
    def interval(self) -> float:
        """Seconds to the next heartbeat; at most a third of the lease, reduced at random to spread load."""
        interval = min(max(self.lease.seconds / 3, MIN_INTERVAL), MAX_INTERVAL)
        return interval * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, guards nothing

    @property
    def is_past_limit(self) -> bool:
        """True if the action has run longer than `MAX_WORK_SECONDS` and than its lease."""
        return time.monotonic() - self.started_at > max(MAX_WORK_SECONDS, self.lease.seconds)

    def schedule_next(self) -> None:
        """Schedule the next heartbeat after the normal interval."""
        self.due_at = time.monotonic() + self.interval
        self.retry_delays = retry.backoff()

    def schedule_retry(self, requested_delay: float | None) -> float:
        """Schedule a retry after the server's delay, or with backoff, but within the interval; return the seconds."""
        delay = min(
            self.interval,
            next(self.retry_delays) if requested_delay is None else max(requested_delay, retry.MIN_BACKOFF),
        )
        self.due_at = time.monotonic() + delay
        return delay


class HeartbeatSender:
    """Sender of the heartbeats of all leases, in one thread that starts with the first lease.

    `extend` makes one call with a timeout in seconds, and returns False for a lost lease. An exception in it never
    ends an action: only the server's response does.
    """

    def __init__(self, extend: Callable[[Lease, float], bool]) -> None:
        self._extend = extend
        self._heartbeats: set[LeaseHeartbeat] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    @contextmanager
    def keep_alive(self, lease: Lease | None, on_lost: Callable[[], None]) -> Iterator[None]:
        """Extend the lease while the block runs; call `on_lost` if the server reports that it has ended."""
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
        heartbeat.schedule_next()  # the lease started with the take
        with self._changed:
            self._heartbeats.add(heartbeat)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)
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
        """Wait for the next due heartbeat and return it; return None after `stop`."""
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
            heartbeat.schedule_next()  # an error in one heartbeat must not stop the others
            logger.exception("heartbeat_failed")
        else:
            heartbeat.schedule_next()
            if not is_extended and self._remove(heartbeat):
                heartbeat.on_lost()
