"""How the server is to deal with a plugin's service. The defaults are those of Flyte's web API plugins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


def _check_min(name: str, value: int, minimum: int) -> None:
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}")


@dataclass(frozen=True)
class RateLimiterConfig:
    """How many calls a second are begun, and how many at once after a pause."""

    qps: int
    burst: int

    def __post_init__(self) -> None:
        _check_min("qps", self.qps, 1)
        _check_min("burst", self.burst, 1)


@dataclass(frozen=True)
class CachingConfig:
    """`size`: how many resources are looked after at most. `resync_interval`: how often each is asked for.

    `workers`: calls under way at once in each process; 0 for a plugin that does no I/O and needs no threads.
    `max_system_failures`: failures in a row before the action fails.
    """

    size: int = 100_000
    resync_interval: timedelta = timedelta(seconds=30)
    workers: int = 10
    max_system_failures: int = 5

    def __post_init__(self) -> None:
        _check_min("size", self.size, 1)
        _check_min("workers", self.workers, 0)
        _check_min("maxSystemFailures", self.max_system_failures, 1)
        if not timedelta(milliseconds=100) <= self.resync_interval <= timedelta(days=366):
            raise ValueError("resyncInterval must be from 100ms to 366 days")


@dataclass(frozen=True)
class PluginConfig:
    """What every plugin's configuration has; a plugin may add fields in a subclass of its own.

    `resource_quotas`: resources at once by namespace. `resource_meta`: the type that `create` gives as meta, a
    dataclass or `dict`; it is kept as JSON. `call_timeout`: after it a call counts as failed, and another worker may
    go on.
    """

    resource_quotas: Mapping[str, int] = field(default_factory=dict)
    read_rate_limiter: RateLimiterConfig = RateLimiterConfig(qps=30, burst=300)
    write_rate_limiter: RateLimiterConfig = RateLimiterConfig(qps=20, burst=200)
    caching: CachingConfig = CachingConfig()
    resource_meta: type[Any] = dict
    call_timeout: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if not timedelta(milliseconds=100) <= self.call_timeout <= timedelta(minutes=10):
            raise ValueError("callTimeout must be from 100ms to 10m")
        for namespace, quota in self.resource_quotas.items():
            _check_min(f"resourceQuotas.{namespace}", quota, 0)
