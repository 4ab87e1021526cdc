"""Clients of Redis that report failures soon instead of waiting.

Functions import `redis`, which takes long to import and is not needed without FLYTE_REDIS_URL.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis

SOCKET_TIMEOUT_SECONDS = 2.0


def connect(url: str, *, retries: int, **options: Any) -> "Redis":
    """Create a client. `retries`: immediate repetitions of a command, e.g. after a connection was closed."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), retries),
        **options,
    )


def get_error_types() -> tuple[type[Exception], ...]:
    """Return the exceptions that a client raises if Redis is unavailable or its URL is invalid."""
    from redis import RedisError

    return RedisError, OSError, ValueError


def format_error(error: Exception) -> str:
    """Format an exception of a client for a log line."""
    return f"{type(error).__name__}: {error}"[:200]
