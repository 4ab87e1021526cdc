"""Rate limits of calls to services: token buckets, shared by all workers if Redis is configured."""

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from flyte_site.core import redis_client
from packs.hosted.plugin_api.config import RateLimiterConfig

log = structlog.get_logger(__name__)

REDIS_KEY_PREFIX = "flyte:webapi:"
# Time between two attempts while Redis is unavailable.
REDIS_RETRY_SECONDS = 5.0


class TokenBucket(Protocol):
    """A bucket with at most `config.burst` tokens, and `config.qps` new ones per second."""

    def take(self, count: int) -> int:
        """Take up to `count` tokens and return the number granted. Never waits."""

    def pause(self, seconds: float) -> None:
        """Grant no tokens for this time, and no burst after it."""

    def available(self) -> float:
        """Return the number of tokens; negative during a pause."""


class LocalTokenBucket:
    """A bucket in this process. `clock` returns seconds."""

    def __init__(self, config: RateLimiterConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._tokens = float(config.burst)
        self._refilled_at = clock()
        self._lock = threading.Lock()

    def take(self, count: int) -> int:
        with self._lock:
            self._refill()
            granted = max(0, min(int(self._tokens), count))
            self._tokens -= granted
            return granted

    def pause(self, seconds: float) -> None:
        with self._lock:
            self._refill()
            self._tokens = min(0.0, self._tokens)
            self._refilled_at = max(self._refilled_at, self._clock() + seconds)

    def available(self) -> float:
        with self._lock:
            self._refill()
            paused = max(0.0, self._refilled_at - self._clock())
            return self._tokens - paused * self._config.qps

    def _refill(self) -> None:
        now = self._clock()
        if now > self._refilled_at:
            self._tokens = min(self._config.burst, self._tokens + (now - self._refilled_at) * self._config.qps)
            self._refilled_at = now


# All processes use Redis's clock. An unused bucket expires when it would be full again.
_TAKE_SCRIPT = """
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


class RedisTokenBucket:
    """A bucket in Redis. While Redis is unavailable each process has its own."""

    def __init__(self, url: str, name: str, config: RateLimiterConfig) -> None:
        self._error_types = redis_client.get_error_types()
        self._client = redis_client.connect(url, retries=1)
        self._script: Any = self._client.register_script(_TAKE_SCRIPT)
        self._key = REDIS_KEY_PREFIX + name
        self._config = config
        self._fallback = LocalTokenBucket(config)
        self._unavailable_until = 0.0

    def take(self, count: int) -> int:
        reply = self._run_script(count, 0) if count > 0 else None
        return int(reply[0]) if reply else self._fallback.take(count)

    def pause(self, seconds: float) -> None:
        self._fallback.pause(seconds)
        self._run_script(0, seconds)

    def available(self) -> float:
        reply = self._run_script(0, 0)
        return float(reply[1]) if reply else self._fallback.available()

    def _run_script(self, count: int, pause: float) -> Any:
        if time.monotonic() < self._unavailable_until:
            return None
        try:
            return self._script(keys=[self._key], args=[self._config.qps, self._config.burst, count, pause])
        except self._error_types as error:
            self._unavailable_until = time.monotonic() + REDIS_RETRY_SECONDS
            log.warning("rate_limit_not_shared", bucket=self._key, error=redis_client.format_error(error))
            return None


def create_bucket(url: str, name: str, config: RateLimiterConfig) -> TokenBucket:
    """Create the bucket with this name: in Redis if `url` is set, otherwise in this process."""
    return RedisTokenBucket(url, name, config) if url else LocalTokenBucket(config)
