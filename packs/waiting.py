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
from functools import cache

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from flyte_site.failures import database_message
from flyte_site.rows import after_commit
from packs.models import Pack
from packs.wakeups import Channel

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.025
# Between looks while Redis tells what is new; and after a look that failed.
SLOW_LOOK_SECONDS = 2.0
# Looks that take long, two at least, are followed by pauses this many times as long.
LOOK_SHARE = 100
LET_GO_SECONDS = 0.25
# How often a poll for some commands alone is woken by the same look: what is there may be for other commands.
FILTERED_SECONDS = 1.0
# How long the watcher, and its database connection, outlives the last poll that waited.
LINGER_SECONDS = 5.0
MOST_AT_WORK = 32
RETRY_AFTER_SECONDS = (3, 7)

# A peer that has closed its end. Where a system does not know POLLRDHUP (it is Linux's), only broken ones are seen.
_CLOSED = getattr(select, "POLLRDHUP", 0)

Ready = list[tuple[str, str]]
"""Pack names and label keys of which at least one action can be taken now."""


class Place:
    """One poll's place among those that wait. Made by `Watcher.place`."""

    def __init__(self, pack: Pack, ends_at: float, *, filtered: bool, caller: int | None) -> None:
        self.pack = pack
        self._ends_at = ends_at
        self._filtered = filtered
        self.caller = caller
        self._woken = threading.Event()
        self._over = False
        self._next_look = 0.0

    def wait(self) -> bool:
        """Sleep until a take may find something, and tell so; False where there is nothing more to wait for.

        That is when the time is up, the server stops, or the caller has gone.
        """
        left = self._ends_at - time.monotonic()
        if left > 0 and not self._woken.is_set():
            log.debug("poll_waits", pack=self.pack.identity)
            release_connection()
        came = self._woken.wait(max(left, 0))
        self._woken.clear()
        return came and not self._over and not self.caller_is_gone()

    def wake(self) -> None:
        self._woken.set()

    def end(self) -> None:
        """Let the poll be answered without another take."""
        self._over = True
        self._woken.set()

    def caller_is_gone(self) -> bool:
        """Whether the caller has closed the connection, so that it would lose what is taken for it now."""
        if self.caller is None:
            return False
        poll = select.poll()
        poll.register(self.caller, _CLOSED)
        return bool(poll.poll(0))

    def look(self, ready: Ready, now: float) -> None:
        """Wake if what the watcher found may be for this poll."""
        if now < self._next_look:
            return
        if any(name == self.pack.name and self.pack.has_labels(json.loads(key)) for name, key in ready):
            if self._filtered:
                self._next_look = now + FILTERED_SECONDS
            self.wake()


class Watcher:
    """Keeps the places of one process, `most` at a time, and wakes those for which something came.

    `look` gives what is ready for packs of some names; `channel` tells what other processes queue, if there is one.
    """

    def __init__(self, look: Callable[[set[str]], Ready], most: int, channel: Channel | None = None) -> None:
        self.most = most
        self._look = look
        self._channel = channel
        self._places: set[Place] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._cost = 0.0
        self._stopped = False

    @property
    def stopped(self) -> bool:
        return self._stopped

    @property
    def waiting(self) -> int:
        """How many places are taken."""
        return len(self._places)

    @contextmanager
    def place(
        self, pack: Pack, seconds: float, *, filtered: bool = False, caller: int | None = None
    ) -> Iterator[Place | None]:
        """A place for so many seconds at most; None where all are taken, or the server stops.

        To be had before the first take: then nothing that comes after that take is missed. `filtered` says that the
        poll is for some commands alone, `caller` is the file descriptor of its connection.
        """
        place = Place(pack, time.monotonic() + seconds, filtered=filtered, caller=caller)
        with self._changed:
            admitted = not self._stopped and len(self._places) < self.most
            if admitted:
                self._places.add(place)
                self._start()
                self._changed.notify_all()
        try:
            yield place if admitted else None
        finally:
            with self._changed:
                self._places.discard(place)

    def wake(self, pack_names: Iterable[str]) -> None:
        """Something was queued for packs of these names."""
        names = set(pack_names)
        with self._changed:
            for place in self._places:
                if place.pack.name in names:
                    place.wake()

    def stop(self) -> None:
        """End all waiting, now and from now on."""
        with self._changed:
            self._stopped = True
            for place in self._places:
                place.end()
            self._changed.notify_all()

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
            self._thread.start()
            if self._channel:
                self._channel.hear(self.wake)

    def _watch(self) -> None:
        """Look after the places until there have been none for a while."""
        try:
            heard, look_at, let_go_at = 0, 0.0, 0.0
            while self._is_needed():
                if time.monotonic() >= let_go_at:
                    self._let_go()
                    let_go_at = time.monotonic() + LET_GO_SECONDS
                hearing = self._channel.hearing if self._channel else 0
                # After an interruption the channel may have missed something.
                if hearing != heard or time.monotonic() >= look_at:
                    look_at = self._look_around(hearing)
                    heard = hearing
                time.sleep(TICK_SECONDS)
        finally:
            connection.close()

    def _is_needed(self) -> bool:
        with self._changed:
            needed = self._changed.wait_for(lambda: self._places or self._stopped, LINGER_SECONDS)
            if not needed or self._stopped:
                self._thread = None
                return False
            return True

    def _let_go(self) -> None:
        """End the polls whose callers have gone: others may need the place. All are looked at in one call."""
        poll = select.poll()
        with self._changed:
            by_caller = {place.caller: place for place in self._places if place.caller is not None}
            for caller in by_caller:
                poll.register(caller, _CLOSED)
            for caller, _ in poll.poll(0):
                by_caller[caller].end()

    def _look_around(self, hearing: int) -> float:
        """Wake those for whom something is there; gives when to look again."""
        began = time.monotonic()
        with self._changed:
            places = list(self._places)
        if not places:
            return began
        try:
            ready = self._look({place.pack.name for place in places})
        except DatabaseError as error:
            log.warning("look_failed", error=database_message(error))
            connection.close()
            return began + SLOW_LOOK_SECONDS
        now = time.monotonic()
        for place in places:
            place.look(ready, now)
        # A single one may be slow because it had to connect first.
        cost, self._cost = min(self._cost, now - began), now - began
        return now + max(SLOW_LOOK_SECONDS if hearing else TICK_SECONDS, LOOK_SHARE * cost)


def release_connection() -> None:
    """Give the database connection back before waiting: PostgreSQL has few of them.

    SQLite's is an open file, and closing the last one would write to the disk. Within a transaction nothing is closed.
    """
    if connection.vendor != "sqlite" and not connection.in_atomic_block:
        connection.close()


# As many index look-ups as there are different names and labels, however much waits (see `packs.queue`).
_READY = """
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


def ready(pack_names: set[str]) -> Ready:
    """What packs of these names (one at least) could take now, by one query; raises `django.db.Error`."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(_READY.format(names=", ".join(["(%s)"] * len(pack_names))), [*pack_names, now])
        return [(str(name), str(key)) for name, key in cursor.fetchall()]


def most_waiting(threads: int) -> int:
    """How many of a process's threads may be with polls that wait: half; of many all but as many as have work to do at
    once, so that at least two are left for others."""
    return max(threads - max(min(threads - threads // 2, MOST_AT_WORK), 2), 0)


@cache
def channel() -> Channel | None:
    """This process's end of the channel, where there is a Redis."""
    return Channel(settings.FLYTE_REDIS_URL) if settings.FLYTE_REDIS_URL else None


@cache
def watcher() -> Watcher:
    """This process's watcher."""
    return Watcher(ready, most_waiting(settings.FLYTE_WEB_THREADS), channel())


def announce(pack_names: Iterable[str]) -> None:
    """Wake the polls for packs of these names, in this and other processes, once the transaction is committed."""
    if names := set(pack_names):
        after_commit(lambda: _tell(names))


def _tell(names: set[str]) -> None:
    watcher().wake(names)
    if told := channel():
        told.tell(names)


def retry_after() -> str:
    """Seconds after which a poll that could not wait should come again: not all at once."""
    return str(random.randint(*RETRY_AFTER_SECONDS))  # noqa: S311
