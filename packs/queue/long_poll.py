"""Long polling: takes that wait on the server until an action is ready.

One thread per process, the watcher, polls the database for all waiters of the process: with one query, several times a
second, and only while there are any. An action that this process queues wakes them without a query. With Redis, so does
an action that another process queues; then a query every few seconds is enough, in case messages get lost.
"""

import json
import random
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from flyte_site.core.runtime import process_wide
from flyte_site.core.safe_tracebacks import safe_database_message
from flyte_site.db.writes import Writes
from packs.models import Pack
from packs.queue.index_scans import QUEUED_KEYS
from packs.queue.pubsub import PubSubChannel

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.025
# Between queries while Redis notifies, and after a query that failed.
SLOW_POLL_SECONDS = 2.0
# After two slow queries in a row, the pause is this many times as long as the faster one.
POLL_PAUSE_FACTOR = 100
DISCONNECT_CHECK_SECONDS = 0.25
# Interval between wake-ups of a poll that is for some commands only: the ready action can be for other commands.
FILTERED_WAKE_SECONDS = 1.0
# Time for which the watcher and its database connection outlive the last waiter.
IDLE_SECONDS = 5.0
MAX_RESERVED_THREADS = 32
RETRY_AFTER_SECONDS = (3, 7)

# Set when the peer has closed its end. POLLRDHUP exists only on Linux; elsewhere only broken connections are detected.
_PEER_CLOSED = getattr(select, "POLLRDHUP", 0)

ReadyKeys = list[tuple[str, str]]
"""Pack names and labels keys of which at least one action can be taken now."""


class Waiter:
    """One waiting poll. Created by `LongPollHub.register`."""

    def __init__(self, pack: Pack, deadline: float, *, is_filtered: bool, client_fd: int | None) -> None:
        self.pack = pack
        self._deadline = deadline
        self._is_filtered = is_filtered
        self.client_fd = client_fd
        self._wake_event = threading.Event()
        self._is_ended = False
        self._next_wake_at = 0.0

    def wait(self) -> bool:
        """Wait until a take may find an action; return False if the poll is over.

        It is over when its time is up, the server stops, or the client has disconnected.
        """
        remaining = self._deadline - time.monotonic()
        if remaining > 0 and not self._wake_event.is_set():
            log.debug("poll_waits", pack=self.pack.identity)
            release_connection()
        was_woken = self._wake_event.wait(max(remaining, 0))
        self._wake_event.clear()
        return was_woken and not self._is_ended and not self.has_disconnected()

    def wake(self) -> None:
        self._wake_event.set()

    def end(self) -> None:
        """End the wait, without a further take."""
        self._is_ended = True
        self._wake_event.set()

    def has_disconnected(self) -> bool:
        """Return True if the client has closed the connection: it would not receive an action that is taken now."""
        if self.client_fd is None:
            return False
        poll = select.poll()
        poll.register(self.client_fd, _PEER_CLOSED)
        return bool(poll.poll(0))

    def wake_if_ready(self, ready: ReadyKeys, now: float) -> None:
        """Wake the poll if its pack can take one of the ready actions."""
        if now < self._next_wake_at:
            return
        if any(name == self.pack.name and self.pack.has_labels(json.loads(labels_key)) for name, labels_key in ready):
            if self._is_filtered:
                self._next_wake_at = now + FILTERED_WAKE_SECONDS
            self.wake()


class LongPollHub:
    """The waiters of one process, at most `max_waiters` at a time, and the thread that wakes them.

    `find_keys` finds what is ready for packs of some names. `channel`, if any, receives the names of packs for which
    other processes queue actions.
    """

    def __init__(
        self, find_keys: Callable[[set[str]], ReadyKeys], max_waiters: int, channel: PubSubChannel | None = None
    ) -> None:
        self.max_waiters = max_waiters
        self._find_ready = find_keys
        self._channel = channel
        self._waiters: set[Waiter] = set()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._poll_seconds = 0.0
        self._is_stopped = False

    @property
    def is_stopped(self) -> bool:
        return self._is_stopped

    @property
    def waiter_count(self) -> int:
        """Number of waiting polls."""
        return len(self._waiters)

    @contextmanager
    def register(
        self, pack: Pack, seconds: float, *, is_filtered: bool = False, client_fd: int | None = None
    ) -> Iterator[Waiter | None]:
        """Register a waiter for at most `seconds`; yield None if there are too many, or the server stops.

        Register before the first take, so that an action queued after that take is not missed. `is_filtered`: the poll
        is for some commands only. `client_fd`: file descriptor of the client's connection.
        """
        waiter = Waiter(pack, time.monotonic() + seconds, is_filtered=is_filtered, client_fd=client_fd)
        with self._condition:
            is_admitted = not self._is_stopped and len(self._waiters) < self.max_waiters
            if is_admitted:
                self._waiters.add(waiter)
                self._start_thread()
                self._condition.notify_all()
        try:
            yield waiter if is_admitted else None
        finally:
            with self._condition:
                self._waiters.discard(waiter)

    def wake(self, pack_names: Iterable[str]) -> None:
        """Wake the polls of packs with these names."""
        names = set(pack_names)
        with self._condition:
            for waiter in self._waiters:
                if waiter.pack.name in names:
                    waiter.wake()

    def stop(self) -> None:
        """End all polls, and admit no new ones."""
        with self._condition:
            self._is_stopped = True
            for waiter in self._waiters:
                waiter.end()
            self._condition.notify_all()

    def _start_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
            self._thread.start()
            if self._channel:
                self._channel.subscribe(self.wake)

    def _run(self) -> None:
        """Wake waiters until there have been none for `IDLE_SECONDS`."""
        try:
            last_epoch, next_poll_at, next_disconnect_check_at = 0, 0.0, 0.0
            while self._is_needed():
                if time.monotonic() >= next_disconnect_check_at:
                    self._drop_disconnected()
                    next_disconnect_check_at = time.monotonic() + DISCONNECT_CHECK_SECONDS
                epoch = self._channel.subscription_epoch if self._channel else 0
                # After an interruption the channel may have missed messages.
                if epoch != last_epoch or time.monotonic() >= next_poll_at:
                    next_poll_at = self._poll_ready(epoch)
                    last_epoch = epoch
                time.sleep(TICK_SECONDS)
        finally:
            connection.close()

    def _is_needed(self) -> bool:
        with self._condition:
            is_needed = self._condition.wait_for(lambda: self._waiters or self._is_stopped, IDLE_SECONDS)
            if not is_needed or self._is_stopped:
                self._thread = None
                return False
            return True

    def _drop_disconnected(self) -> None:
        """End the polls whose clients have disconnected, to make room for others. One system call checks all."""
        poll = select.poll()
        with self._condition:
            by_fd = {waiter.client_fd: waiter for waiter in self._waiters if waiter.client_fd is not None}
            for client_fd in by_fd:
                poll.register(client_fd, _PEER_CLOSED)
            for client_fd, _ in poll.poll(0):
                by_fd[client_fd].end()

    def _poll_ready(self, epoch: int) -> float:
        """Wake the polls that have a ready action; return the monotonic time of the next query."""
        started = time.monotonic()
        with self._condition:
            waiters = list(self._waiters)
        if not waiters:
            return started
        try:
            ready = self._find_ready({waiter.pack.name for waiter in waiters})
        except DatabaseError as error:
            log.warning("ready_query_failed", error=safe_database_message(error))
            connection.close()
            return started + SLOW_POLL_SECONDS
        now = time.monotonic()
        for waiter in waiters:
            waiter.wake_if_ready(ready, now)
        # A single query can be slow because it had to connect first.
        poll_seconds, self._poll_seconds = min(self._poll_seconds, now - started), now - started
        return now + max(SLOW_POLL_SECONDS if epoch else TICK_SECONDS, POLL_PAUSE_FACTOR * poll_seconds)


def release_connection() -> None:
    """Release the database connection before waiting: PostgreSQL has few of them.

    SQLite's is an open file, and closing the last one would write to the disk. Inside a transaction it is kept.
    """
    if connection.vendor != "sqlite" and not connection.in_atomic_block:
        connection.close()


# Runs many times a second, and therefore without `index_order`.
_READY_SQL = """
    SELECT pack_name, labels_key FROM keys WHERE (
        SELECT min(ready_at) FROM packs_action
        WHERE is_queued AND pack_name = keys.pack_name AND labels_key = keys.labels_key
    ) <= %s
"""


def find_ready(pack_names: set[str]) -> ReadyKeys:
    """Find the labels keys of actions that packs of these names (at least one) can take now, by one query.

    Raise `django.db.Error`.
    """
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    keys = QUEUED_KEYS.fetch(first_values=list(pack_names), select=_READY_SQL, select_values=[now])
    return [(str(name), str(labels_key)) for name, labels_key in keys]


def compute_max_waiters(threads: int) -> int:
    """Compute how many of a process's threads can wait in polls.

    Of few threads it is half, of many all but `MAX_RESERVED_THREADS`; at least two are left for other requests.
    """
    return max(threads - max(min(threads - threads // 2, MAX_RESERVED_THREADS), 2), 0)


@process_wide
def pubsub_channel() -> PubSubChannel | None:
    """Return this process's channel; None if FLYTE_REDIS_URL is not set."""
    return PubSubChannel(settings.FLYTE_REDIS_URL) if settings.FLYTE_REDIS_URL else None


@process_wide
def long_poll_hub() -> LongPollHub:
    """Return this process's hub."""
    return LongPollHub(find_ready, compute_max_waiters(settings.FLYTE_WEB_THREADS), pubsub_channel())


def notify(writes: Writes, pack_names: Iterable[str]) -> None:
    """Wake the polls for packs of these names, in this and other processes, after the commit of `writes`."""
    if names := set(pack_names):
        writes.on_commit(partial(_publish, names))


def _publish(names: set[str]) -> None:
    long_poll_hub().wake(names)
    if channel := pubsub_channel():
        channel.publish(names)


def random_retry_after() -> str:
    """Return a `Retry-After` in seconds for a poll that was not admitted, random so that not all retry at once."""
    return str(random.randint(*RETRY_AFTER_SECONDS))  # noqa: S311
