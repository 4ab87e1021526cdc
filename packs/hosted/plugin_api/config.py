"""Configuration of a plugin and its service. The defaults are those of Flyte's web API plugins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


def _check_min(name: str, value: int, minimum: int) -> None:
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}")


@dataclass(frozen=True)
class RateLimiterConfig:
    """`qps`: calls per second; `burst`: calls at once after a pause."""

    qps: int
    burst: int

    def __post_init__(self) -> None:
        _check_min("qps", self.qps, 1)
        _check_min("burst", self.burst, 1)


@dataclass(frozen=True)
class CachingConfig:
    """`size`: maximum number of resources. `resync_interval`: time between two polls of a resource.

    `workers`: concurrent calls in each process; 0 for a plugin that does no I/O and needs no threads.
    `max_system_failures`: consecutive failures before the action fails.
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
    """The configuration of every plugin; a plugin may add fields in a subclass.

    `resource_quotas`: maximum number of resources by namespace. `resource_meta`: the type of the meta that `create`
    returns, a dataclass or `dict`; it is stored as JSON. `call_timeout`: after it a call has failed, and another worker
    may take over.
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
