"""Notifications between processes through Redis: the actions that were queued.

They are hints: a message can be lost or arrive twice, and Redis can be unavailable. Callers neither wait for Redis nor
see it fail; two threads per process, one that publishes and one that subscribes, keep retrying.

Functions import `redis`, which takes long to import and is not needed without FLYTE_REDIS_URL.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog

from flyte_site.core import redis_client

if TYPE_CHECKING:
    from redis import Redis

log = structlog.get_logger(__name__)

CHANNEL = "flyte:waiting"
MAX_PENDING = 1000
# Silence after which a ping checks the connection.
PING_AFTER_SECONDS = 5.0
# Range of the pause between attempts to connect.
RETRY_PAUSE_SECONDS = (0.5, 1.5)


class PubSubChannel:
    """One process's connection to the channel. Messages are texts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._condition = threading.Condition()
        self._pending: list[str] = []
        self._threads: dict[str, threading.Thread] = {}
        self._unavailable: set[str] = set()
        self._subscription_count = 0
        self._epoch = 0

    @property
    def subscription_epoch(self) -> int:
        """0 while messages can get lost, else a number that changes after each interruption."""
        return self._epoch

    def publish(self, messages: Iterable[str]) -> None:
        """Send the messages to all processes, this one included, in the background. Return at once.

        While Redis is unavailable, only MAX_PENDING messages are kept.
        """
        with self._condition:
            self._pending += messages
            del self._pending[:-MAX_PENDING]
            self._start_thread("publish", self._publish_pending)
            self._condition.notify()

    def subscribe(self, on_message: Callable[[str], None]) -> None:
        """Call `on_message` with each message that any process publishes from now on."""
        with self._condition:
            self._start_thread("subscribe", lambda: self._listen(on_message))

    def _start_thread(self, name: str, target: Callable[[], None]) -> None:
        thread = self._threads.get(name)
        if thread is None or not thread.is_alive():
            self._threads[name] = thread = threading.Thread(
                target=self._run_forever, args=(name, target), name=f"redis-{name}", daemon=True
            )
            thread.start()

    def _run_forever(self, name: str, target: Callable[[], None]) -> None:
        error_types = redis_client.get_error_types()
        while True:
            try:
                target()
            except error_types as error:
                self._log_availability(name, redis_client.format_error(error))
                time.sleep(random.uniform(*RETRY_PAUSE_SECONDS))  # noqa: S311

    def _publish_pending(self) -> None:
        # Redis can have been restarted since the last message: the first attempt on an old connection then fails.
        with self._connect(retries=1) as client:
            while True:
                for message in self._wait_for_pending():
                    client.publish(CHANNEL, message)
                self._log_availability("publish")

    def _wait_for_pending(self) -> list[str]:
        with self._condition:
            self._condition.wait_for(lambda: self._pending)
            messages, self._pending = self._pending, []
            return messages

    def _listen(self, on_message: Callable[[str], None]) -> None:
        from redis import ConnectionError

        try:
            with self._connect(retries=0) as client, client.pubsub() as subscription:
                subscription.subscribe(CHANNEL)
                is_ping_pending = False
                while True:
                    message = subscription.get_message(timeout=PING_AFTER_SECONDS)
                    if message is None and is_ping_pending:
                        raise ConnectionError("no answer to a ping")
                    if message is None:
                        subscription.ping()
                    is_ping_pending = message is None
                    if message:
                        self._handle_message(message, on_message)
        finally:
            self._epoch = 0

    def _handle_message(self, message: dict[str, object], on_message: Callable[[str], None]) -> None:
        if message["type"] == "subscribe":
            self._subscription_count += 1
            self._epoch = self._subscription_count
            self._log_availability("subscribe")
        elif message["type"] == "message":
            on_message(str(message["data"]))

    def _connect(self, retries: int) -> "Redis":
        return redis_client.connect(self._url, retries=retries, decode_responses=True, encoding_errors="replace")

    def _log_availability(self, name: str, failure: str = "") -> None:
        """Log that Redis became unavailable or available again, not each attempt in between."""
        if bool(failure) == (name in self._unavailable):
            return
        if failure:
            self._unavailable.add(name)
            log.warning("redis_away", task=name, error=failure)
        else:
            self._unavailable.discard(name)
            log.info("redis_back", task=name)
