"""Long polling: takes that wait on the server until an action is ready.

One thread per process, the watcher, polls the database for all waiters of the process: with one query, several times a
second, and only while there are any. An action that this process queues wakes one of them without a query. With Redis,
so does an action that another process queues; then a query every few seconds is enough, in case messages get lost.

One action wakes one poll in each process, not all that could take it. A poll that ends without using its wake-up passes
it on.
"""

import json
import random
import select
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import NamedTuple

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from flyte_site.core.clock import database_clock
from flyte_site.core.ids import min_id_at, new_id
from flyte_site.core.observability.safe_tracebacks import safe_database_message
from flyte_site.core.runtime import process_wide
from flyte_site.db.table_sql import Writes
from packs.models import Action, Pack
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
# Notifications that are remembered, because a process receives its own ones too.
MAX_SEEN_IDS = 1000
RETRY_AFTER_SECONDS = (3, 7)

# Set when the peer has closed its end. POLLRDHUP exists only on Linux; elsewhere only broken connections are detected.
_PEER_CLOSED = getattr(select, "POLLRDHUP", 0)

ReadyKeys = list[tuple[str, str]]
"""Pack names and labels keys of which at least one action can be taken now."""


class QueuedAction(NamedTuple):
    """An action that was queued: a reason to wake one poll that can take it.

    `notification_id` is the same in all processes. A group of actions that a query found has neither ids nor a command.
    """

    pack_name: str
    labels_key: str
    command_name: str = ""
    action_id: str = ""
    notification_id: str = ""


class Waiter:
    """One waiting poll. Created by `LongPollHub.register`."""

    def __init__(
        self, pack: Pack, deadline: float, *, command_names: Collection[str] = (), client_fd: int | None = None
    ) -> None:
        self.pack = pack
        self._deadline = deadline
        self._command_names = command_names
        self.client_fd = client_fd
        self._wake_event = threading.Event()
        self._is_ended = False
        self._next_wake_at = 0.0
        self._unused: QueuedAction | None = None
        self._used: QueuedAction | None = None
        self._taken_id: str | None = None

    @property
    def is_woken(self) -> bool:
        """Return True if the poll was woken and has not tried to take an action since."""
        return self._wake_event.is_set()

    def wait(self) -> bool:
        """Wait until a take may find an action; return False if the poll is over.

        It is over when its time is up, the server stops, or the client has disconnected.
        """
        remaining = self._deadline - time.monotonic()
        if remaining > 0 and not self._wake_event.is_set():
            log.debug("poll_waits", pack=self.pack.identity)
            release_connection()
        was_woken = self._wake_event.wait(max(remaining, 0))
        if not was_woken or self._is_ended or self.has_disconnected():
            return False
        self._unused, self._used = None, self._unused
        self._wake_event.clear()
        return True

    def wake(self, reason: QueuedAction | None = None) -> None:
        """Wake the poll for this action."""
        self._unused = reason
        self._wake_event.set()

    def record_taken(self, action_id: str) -> None:
        """Record the action that the poll has taken."""
        self._taken_id = action_id

    def get_unused_reason(self) -> QueuedAction | None:
        """Return the queued action for which another poll must be woken after the end of this one, or None.

        It is the action that this poll was woken for if it has taken another one, or has not tried. After a group of
        actions the next poll is woken until one finds nothing.
        """
        if self._unused is not None:
            return None if self._unused.action_id == self._taken_id else self._unused
        if self._used is None or self._taken_id is None or self._used.action_id == self._taken_id:
            return None
        return self._used

    def can_take(self, queued: QueuedAction) -> bool:
        """Return True if the poll can take an action of these; one for some commands only needs the command's name."""
        is_for_command = not self._command_names or queued.command_name in self._command_names
        return is_for_command and self._is_for_pack(queued.pack_name, queued.labels_key)

    def _is_for_pack(self, pack_name: str, labels_key: str) -> bool:
        return self.pack.name == pack_name and self.pack.has_labels(json.loads(labels_key))

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
        """Wake a poll for some commands only if its pack can take one of the ready actions: they may be for it."""
        if not self._command_names or self.is_woken or now < self._next_wake_at:
            return
        if any(self._is_for_pack(*key) for key in ready):
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
        # In the order of their arrival: the one that has waited longest is woken first.
        self._waiters: dict[Waiter, None] = {}
        self._seen_ids: dict[str, None] = {}
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
        self, pack: Pack, seconds: float, *, command_names: Collection[str] = (), client_fd: int | None = None
    ) -> Iterator[Waiter | None]:
        """Register a waiter for at most `seconds`; yield None if there are too many, or the server stops.

        Register before the first take, so that an action queued after that take is not missed. `command_names`: the
        commands that the poll is for; empty for all. `client_fd`: file descriptor of the client's connection.
        """
        waiter = Waiter(pack, time.monotonic() + seconds, command_names=command_names, client_fd=client_fd)
        with self._condition:
            is_admitted = not self._is_stopped and len(self._waiters) < self.max_waiters
            if is_admitted:
                self._waiters[waiter] = None
                self._start_thread()
                self._condition.notify_all()
        try:
            yield waiter if is_admitted else None
        finally:
            with self._condition:
                self._waiters.pop(waiter, None)
                if unused := waiter.get_unused_reason():
                    self._wake_one(unused)

    def wake(self, queued: Iterable[QueuedAction]) -> None:
        """Wake one poll for each queued action, once for each notification."""
        with self._condition:
            for action in queued:
                if action.notification_id not in self._seen_ids:
                    self._seen_ids[action.notification_id] = None
                    self._wake_one(action)
            for notification_id in list(islice(self._seen_ids, max(0, len(self._seen_ids) - MAX_SEEN_IDS))):
                del self._seen_ids[notification_id]

    def receive(self, message: str) -> None:
        """Wake a poll for the action that a message of another process, or of this one, reports."""
        try:
            queued = QueuedAction(*json.loads(message))
        except (TypeError, ValueError):
            return
        self.wake([queued])

    def _wake_one(self, queued: QueuedAction) -> None:
        waiter = next((each for each in self._waiters if not each.is_woken and each.can_take(queued)), None)
        if waiter is not None:
            waiter.wake(queued)

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
                self._channel.subscribe(self.receive)

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
        with self._condition:
            for key in ready:
                self._wake_one(QueuedAction(*key))
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
# A first attempt is ready whatever the clock says; see `packs.queue.take`.
_READY_SQL = """
    SELECT pack_name, labels_key FROM keys WHERE (
        SELECT min(ready_at) FROM packs_action
        WHERE is_queued AND pack_name = keys.pack_name AND labels_key = keys.labels_key
    ) <= %s OR (
        (
            SELECT pack_name FROM packs_action AS later WHERE (pack_name, id) >= (keys.pack_name, %s)
            ORDER BY pack_name, id LIMIT 1
        ) = keys.pack_name
        AND EXISTS (
            SELECT 1 FROM packs_action
            WHERE is_queued AND pack_name = keys.pack_name AND labels_key = keys.labels_key AND attempt = 0
        )
    )
"""


def find_ready(pack_names: set[str]) -> ReadyKeys:
    """Find the labels keys of actions that packs of these names (at least one) can take now, by one query.

    Raise `django.db.Error`.
    """
    now = database_clock().now()
    select_values = [connection.ops.adapt_datetimefield_value(now), min_id_at(now)]
    keys = QUEUED_KEYS.fetch(first_values=list(pack_names), select=_READY_SQL, select_values=select_values)
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


def notify(writes: Writes, actions: Iterable[Action]) -> None:
    """Wake a poll for each of these queued actions, in this and other processes, after the commit of `writes`."""
    queued = [QueuedAction(action.pack_name, action.labels_key, action.name, action.id, new_id()) for action in actions]
    if queued:
        writes.on_commit(partial(_publish, queued))


def _publish(queued: list[QueuedAction]) -> None:
    long_poll_hub().wake(queued)
    if channel := pubsub_channel():
        channel.publish(json.dumps(action) for action in queued)


def random_retry_after() -> str:
    """Return a `Retry-After` in seconds for a poll that was not admitted, random so that not all retry at once."""
    return str(random.randint(*RETRY_AFTER_SECONDS))  # noqa: S311
