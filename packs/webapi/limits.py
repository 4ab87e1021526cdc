"""How often a service is called: a token bucket, shared by all workers where there is a Redis."""

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from packs.webapi.config import RateLimiterConfig

log = structlog.get_logger(__name__)

KEY = "flyte:webapi:"
CALL_SECONDS = 2.0
# While Redis is away it is asked again only so often.
AWAY_SECONDS = 5.0


class Bucket(Protocol):
    """`config.burst` tokens at most, and `config.qps` new ones a second."""

    def take(self, wanted: int) -> int:
        """Take up to so many tokens, and tell how many it were. Never waits."""

    def pause(self, seconds: float) -> None:
        """Give none for so long, and no burst after that."""

    def left(self) -> float:
        """How many there are now; negative within a pause."""


class LocalBucket:
    """A bucket of this process. `clock` gives seconds."""

    def __init__(self, config: RateLimiterConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._tokens = float(config.burst)
        self._at = clock()
        self._lock = threading.Lock()

    def take(self, wanted: int) -> int:
        with self._lock:
            self._refill()
            granted = max(0, min(int(self._tokens), wanted))
            self._tokens -= granted
            return granted

    def pause(self, seconds: float) -> None:
        with self._lock:
            self._refill()
            self._tokens = min(0.0, self._tokens)
            self._at = max(self._at, self._clock() + seconds)

    def left(self) -> float:
        with self._lock:
            self._refill()
            paused = max(0.0, self._at - self._clock())
            return self._tokens - paused * self._config.qps

    def _refill(self) -> None:
        now = self._clock()
        if now > self._at:
            self._tokens = min(self._config.burst, self._tokens + (now - self._at) * self._config.qps)
            self._at = now


# Redis's own clock is everybody's. What nobody asks for is forgotten when it would be full again.
_SCRIPT = """
local qps, burst, wanted, pause = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1]) or burst, tonumber(kept[2]) or now
if now > at then
  tokens = math.min(burst, tokens + (now - at) * qps)
  at = now
end
local granted = 0
if wanted > 0 then
  granted = math.max(0, math.min(math.floor(tokens), wanted))
  tokens = tokens - granted
end
if pause > 0 then
  tokens = math.min(0, tokens)
  at = math.max(at, now + pause)
end
if granted > 0 or pause > 0 then
  redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', at))
  redis.call('PEXPIRE', KEYS[1], math.ceil(((at - now) + burst / qps + 60) * 1000))
end
return {granted, string.format('%.6f', tokens - math.max(0, at - now) * qps)}
"""


class SharedBucket:
    """A bucket in Redis. While that is away each process counts for itself."""

    def __init__(self, url: str, name: str, config: RateLimiterConfig) -> None:
        # Imported here: it takes long, and most commands and servers have no Redis.
        from redis import Redis, RedisError
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self._failures = (RedisError, OSError, ValueError)
        self._client = Redis.from_url(
            url, socket_timeout=CALL_SECONDS, socket_connect_timeout=CALL_SECONDS, retry=Retry(NoBackoff(), 1)
        )
        self._script: Any = self._client.register_script(_SCRIPT)
        self._key = KEY + name
        self._config = config
        self._own = LocalBucket(config)
        self._away_until = 0.0

    def take(self, wanted: int) -> int:
        answer = self._ask(wanted, 0) if wanted > 0 else None
        return int(answer[0]) if answer else self._own.take(wanted)

    def pause(self, seconds: float) -> None:
        self._own.pause(seconds)
        self._ask(0, seconds)

    def left(self) -> float:
        answer = self._ask(0, 0)
        return float(answer[1]) if answer else self._own.left()

    def _ask(self, wanted: int, pause: float) -> Any:
        if time.monotonic() < self._away_until:
            return None
        try:
            return self._script(keys=[self._key], args=[self._config.qps, self._config.burst, wanted, pause])
        except self._failures as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            log.warning("rate_limit_not_shared", bucket=self._key, error=f"{type(error).__name__}: {error}"[:200])
            return None


def bucket(url: str, name: str, config: RateLimiterConfig) -> Bucket:
    """The bucket of this name: shared where there is a Redis at `url`, else this process's."""
    return SharedBucket(url, name, config) if url else LocalBucket(config)
