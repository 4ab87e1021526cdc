"""Polls that wait at the server until something is there for them.

One thread a process, the watcher, looks on behalf of all polls that wait in it: with one query, several times a
second, and only while there are any. What this process queues itself wakes them without a look; so does, with Redis,
what others queue, and then a look every few seconds is enough, for messages that got lost.
"""

import json
import random
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from flyte_site.core.safe_tracebacks import safe_database_message
from flyte_site.db.writes import Writes
from packs.models import Pack
from packs.queue.pubsub import PubSubChannel

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.025
# Between looks while Redis tells what is new; and after a look that failed.
SLOW_POLL_SECONDS = 2.0
# Looks that take long, two at least, are followed by pauses this many times as long.
POLL_PAUSE_FACTOR = 100
DISCONNECT_CHECK_SECONDS = 0.25
# How often a poll for some commands alone is woken by the same look: what is there may be for other commands.
FILTERED_WAKE_SECONDS = 1.0
# How long the watcher, and its database connection, outlives the last poll that waited.
IDLE_SECONDS = 5.0
MAX_RESERVED_THREADS = 32
RETRY_AFTER_SECONDS = (3, 7)

# A peer that has closed its end. Where a system does not know POLLRDHUP (it is Linux's), only broken ones are seen.
_PEER_CLOSED = getattr(select, "POLLRDHUP", 0)

ReadyKeys = list[tuple[str, str]]
"""Pack names and label keys of which at least one action can be taken now."""


class Waiter:
    """One poll's place among those that wait. Made by `Watcher.place`."""

    def __init__(self, pack: Pack, deadline: float, *, is_filtered: bool, client_fd: int | None) -> None:
        self.pack = pack
        self._deadline = deadline
        self._is_filtered = is_filtered
        self.client_fd = client_fd
        self._wake_event = threading.Event()
        self._is_ended = False
        self._next_wake_at = 0.0

    def wait(self) -> bool:
        """Sleep until a take may find something, and tell so; False where there is nothing more to wait for.

        That is when the time is up, the server stops, or the caller has gone.
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
        """Let the poll be answered without another take."""
        self._is_ended = True
        self._wake_event.set()

    def has_disconnected(self) -> bool:
        """Whether the caller has closed the connection, so that it would lose what is taken for it now."""
        if self.client_fd is None:
            return False
        poll = select.poll()
        poll.register(self.client_fd, _PEER_CLOSED)
        return bool(poll.poll(0))

    def wake_if_ready(self, ready: ReadyKeys, now: float) -> None:
        """Wake if what the watcher found may be for this poll."""
        if now < self._next_wake_at:
            return
        if any(name == self.pack.name and self.pack.has_labels(json.loads(labels_key)) for name, labels_key in ready):
            if self._is_filtered:
                self._next_wake_at = now + FILTERED_WAKE_SECONDS
            self.wake()


class LongPollHub:
    """Keeps the places of one process, `most` at a time, and wakes those for which something came.

    `look` gives what is ready for packs of some names; `channel` tells what other processes queue, if there is one.
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
        """How many places are taken."""
        return len(self._waiters)

    @contextmanager
    def register(
        self, pack: Pack, seconds: float, *, is_filtered: bool = False, client_fd: int | None = None
    ) -> Iterator[Waiter | None]:
        """A place for so many seconds at most; None where all are taken, or the server stops.

        To be had before the first take: then nothing that comes after that take is missed. `filtered` says that the
        poll is for some commands alone, `caller` is the file descriptor of its connection.
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
        """Something was queued for packs of these names."""
        names = set(pack_names)
        with self._condition:
            for waiter in self._waiters:
                if waiter.pack.name in names:
                    waiter.wake()

    def stop(self) -> None:
        """End all waiting, now and from now on."""
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
        """Look after the places until there have been none for a while."""
        try:
            last_epoch, next_poll_at, next_disconnect_check_at = 0, 0.0, 0.0
            while self._is_needed():
                if time.monotonic() >= next_disconnect_check_at:
                    self._drop_disconnected()
                    next_disconnect_check_at = time.monotonic() + DISCONNECT_CHECK_SECONDS
                epoch = self._channel.subscription_epoch if self._channel else 0
                # After an interruption the channel may have missed something.
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
        """End the polls whose callers have gone: others may need the place. All are looked at in one call."""
        poll = select.poll()
        with self._condition:
            by_fd = {waiter.client_fd: waiter for waiter in self._waiters if waiter.client_fd is not None}
            for client_fd in by_fd:
                poll.register(client_fd, _PEER_CLOSED)
            for client_fd, _ in poll.poll(0):
                by_fd[client_fd].end()

    def _poll_ready(self, epoch: int) -> float:
        """Wake those for whom something is there; gives when to look again."""
        started = time.monotonic()
        with self._condition:
            waiters = list(self._waiters)
        if not waiters:
            return started
        try:
            ready = self._find_ready({waiter.pack.name for waiter in waiters})
        except DatabaseError as error:
            log.warning("look_failed", error=safe_database_message(error))
            connection.close()
            return started + SLOW_POLL_SECONDS
        now = time.monotonic()
        for waiter in waiters:
            waiter.wake_if_ready(ready, now)
        # A single one may be slow because it had to connect first.
        poll_seconds, self._poll_seconds = min(self._poll_seconds, now - started), now - started
        return now + max(SLOW_POLL_SECONDS if epoch else TICK_SECONDS, POLL_PAUSE_FACTOR * poll_seconds)


def release_connection() -> None:
    """Give the database connection back before waiting: PostgreSQL has few of them.

    SQLite's is an open file, and closing the last one would write to the disk. Within a transaction nothing is closed.
    """
    if connection.vendor != "sqlite" and not connection.in_atomic_block:
        connection.close()


# As many index look-ups as there are different names and labels, however much waits (see `packs.queue.action_queue`).
_READY_SQL = """
    WITH RECURSIVE asked(pack) AS (VALUES {names}),
    found(pack, labels) AS (
        SELECT pack, (SELECT min(label_key) FROM packs_action WHERE waiting AND pack_name = asked.pack) FROM asked
        UNION ALL
        SELECT pack, (SELECT min(label_key) FROM packs_action
                      WHERE waiting AND pack_name = found.pack AND label_key > found.labels)
        FROM found WHERE found.labels IS NOT NULL
    )
    SELECT pack, labels FROM found
    WHERE labels IS NOT NULL AND (
        SELECT min(ready_at) FROM packs_action
        WHERE waiting AND pack_name = found.pack AND label_key = found.labels
    ) <= %s
"""


def find_ready(pack_names: set[str]) -> ReadyKeys:
    """What packs of these names (one at least) could take now, by one query; raises `django.db.Error`."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(_READY_SQL.format(names=", ".join(["(%s)"] * len(pack_names))), [*pack_names, now])
        return [(str(name), str(labels_key)) for name, labels_key in cursor.fetchall()]


def compute_max_waiters(threads: int) -> int:
    """How many of a process's threads may be with polls that wait: half; of many all but as many as have work to do at
    once, so that at least two are left for others."""
    return max(threads - max(min(threads - threads // 2, MAX_RESERVED_THREADS), 2), 0)


@cache
def pubsub_channel() -> PubSubChannel | None:
    """This process's end of the channel, where there is a Redis."""
    return PubSubChannel(settings.FLYTE_REDIS_URL) if settings.FLYTE_REDIS_URL else None


@cache
def long_poll_hub() -> LongPollHub:
    """This process's watcher."""
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
    """Seconds after which a poll that could not wait should come again: not all at once."""
    return str(random.randint(*RETRY_AFTER_SECONDS))  # noqa: S311
