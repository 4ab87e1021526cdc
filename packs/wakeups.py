"""Word from process to process, by way of Redis, that something waits for packs of some name.

Only a hint: a message may be lost or come twice, and Redis may be away. Nobody who calls here waits for it or sees it
fail; two threads of the process's own, one that tells and one that hears, go on trying.

Functions import `redis`, which takes long to import and is not needed without FLYTE_REDIS_URL.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from redis import Redis

log = structlog.get_logger(__name__)

CHANNEL = "flyte:waiting"
CALL_SECONDS = 2.0
# Silence after which Redis is asked whether it is still there.
SILENCE_SECONDS = 5.0
# Between attempts while it is not.
PAUSE_SECONDS = (0.5, 1.5)


class Channel:
    """One process's end of the channel. Each message is the name of packs, and nothing else."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._changed = threading.Condition()
        self._untold: set[str] = set()
        self._threads: dict[str, threading.Thread] = {}
        self._away: set[str] = set()
        self._subscriptions = 0
        self._heard = 0

    @property
    def hearing(self) -> int:
        """0 while messages may get lost; else a number, another one after each interruption."""
        return self._heard

    def tell(self, pack_names: Iterable[str]) -> None:
        """Tell all processes, this one too, soon; returns at once."""
        with self._changed:
            self._untold.update(pack_names)
            self._start("tell", self._tell_on)
            self._changed.notify()

    def hear(self, told: Callable[[set[str]], None]) -> None:
        """From now on call `told` with the names that any process tells."""
        with self._changed:
            self._start("hear", lambda: self._hear_on(told))

    def _start(self, name: str, work: Callable[[], None]) -> None:
        thread = self._threads.get(name)
        if thread is None or not thread.is_alive():
            self._threads[name] = thread = threading.Thread(
                target=self._keep_on, args=(name, work), name=f"redis-{name}", daemon=True
            )
            thread.start()

    def _keep_on(self, name: str, work: Callable[[], None]) -> None:
        from redis import RedisError

        while True:
            try:
                work()
            except (RedisError, OSError, ValueError) as error:
                self._note(name, f"{type(error).__name__}: {error}"[:200])
                time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311

    def _tell_on(self) -> None:
        # Redis may have been restarted since the last word: the first attempt on an old connection then fails.
        with self._client(retries=1) as client:
            while True:
                names = self._next_untold()
                for name in names:
                    client.publish(CHANNEL, name)
                self._note("tell")

    def _next_untold(self) -> set[str]:
        with self._changed:
            self._changed.wait_for(lambda: self._untold)
            names, self._untold = self._untold, set()
            return names

    def _hear_on(self, told: Callable[[set[str]], None]) -> None:
        from redis import ConnectionError

        try:
            with self._client(retries=0) as client, client.pubsub() as subscription:
                subscription.subscribe(CHANNEL)
                asked = False
                while True:
                    message = subscription.get_message(timeout=SILENCE_SECONDS)
                    if message is None and asked:
                        raise ConnectionError("no answer to a ping")
                    if message is None:
                        subscription.ping()
                    asked = message is None
                    if message:
                        self._receive(message, told)
        finally:
            self._heard = 0

    def _receive(self, message: dict[str, object], told: Callable[[set[str]], None]) -> None:
        if message["type"] == "subscribe":
            self._subscriptions += 1
            self._heard = self._subscriptions
            self._note("hear")
        elif message["type"] == "message":
            told({str(message["data"])})

    def _client(self, retries: int) -> "Redis":
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return Redis.from_url(
            self._url,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=CALL_SECONDS,
            socket_connect_timeout=CALL_SECONDS,
            retry=Retry(NoBackoff(), retries),
        )

    def _note(self, name: str, failure: str = "") -> None:
        """Log when Redis is lost and when it is back, not each attempt between."""
        if bool(failure) == (name in self._away):
            return
        if failure:
            self._away.add(name)
            log.warning("redis_away", task=name, error=failure)
        else:
            self._away.discard(name)
            log.info("redis_back", task=name)
