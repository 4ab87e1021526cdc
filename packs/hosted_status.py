"""The status of hosted packs for pages: resources, quotas, rate limits and counters. All queries are bounded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet

from packs.hosted.plugin_api.config import RateLimiterConfig
from packs.hosted.rate_limits import TokenBucket
from packs.hosted.runtime import PluginRuntime
from packs.hosted_registry import get_hosted_registry
from packs.models import QUOTA_STATES, HostedCount, HostedResource, HostedState

MAX_ROWS = 1000


@dataclass(frozen=True)
class RateLimitStatus:
    """A rate limit. `available`: calls that could start now; negative during a pause, None if each process has
    its own.
    """

    qps: int
    burst: int
    available: float | None


@dataclass(frozen=True)
class HostedPackStatus:
    """A hosted plugin. `resources`: number by state; `quotas`: used and total by namespace."""

    id: str
    resources: Mapping[str, int]
    quotas: Mapping[str, tuple[int, int]]
    read_rate: RateLimitStatus
    write_rate: RateLimitStatus
    counts: Mapping[str, int]


def list_hosted_packs() -> list[HostedPackStatus]:
    """List the hosted packs in the order of the setting. Three queries."""
    return _build_statuses(get_hosted_registry().runtimes)


def find_hosted_pack(plugin: str) -> HostedPackStatus | None:
    """Find the hosted pack of this plugin id; None if this server does not host it. Three queries."""
    runtime = get_hosted_registry().runtimes.get(plugin)
    return _build_statuses({plugin: runtime})[0] if runtime else None


def _build_statuses(runtimes: Mapping[str, PluginRuntime]) -> list[HostedPackStatus]:
    states = _count_by_state(runtimes)
    used = _count_by_namespace(runtimes)
    counts: dict[str, dict[str, int]] = {plugin_id: {} for plugin_id in runtimes}
    for row in HostedCount.objects.filter(plugin__in=list(runtimes)).order_by("plugin", "name")[:MAX_ROWS]:
        counts[row.plugin][row.name] = row.value
    return [
        _build_status(runtime, states[plugin_id], used[plugin_id], counts[plugin_id])
        for plugin_id, runtime in runtimes.items()
    ]


def _count_by_state(ids: Iterable[str]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {plugin_id: dict.fromkeys(HostedState.values, 0) for plugin_id in ids}
    rows = HostedResource.objects.filter(plugin__in=list(counts)).order_by()
    for plugin, state, count in rows.values_list("plugin", "state").annotate(count=Count("id")):
        counts[plugin][state] = count
    return counts


def _count_by_namespace(ids: Iterable[str]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {plugin_id: {} for plugin_id in ids}
    rows = HostedResource.objects.filter(plugin__in=list(counts), state__in=QUOTA_STATES).order_by()
    for plugin, namespace, count in rows.values_list("plugin", "namespace").annotate(count=Count("id"))[:MAX_ROWS]:
        counts[plugin][namespace] = count
    return counts


def _build_status(
    runtime: PluginRuntime, states: Mapping[str, int], used: Mapping[str, int], counts: Mapping[str, int]
) -> HostedPackStatus:
    config = runtime.config
    quotas = {name: (used.get(name, 0), quota) for name, quota in config.resource_quotas.items()}
    read_rate, write_rate = (
        _build_rate_limit_status(config.read_rate_limiter, runtime.read_bucket),
        _build_rate_limit_status(config.write_rate_limiter, runtime.write_bucket),
    )
    return HostedPackStatus(runtime.id, states, quotas, read_rate, write_rate, counts)


def _build_rate_limit_status(config: RateLimiterConfig, bucket: TokenBucket) -> RateLimitStatus:
    is_shared = bool(settings.FLYTE_REDIS_URL)
    return RateLimitStatus(config.qps, config.burst, bucket.available() if is_shared else None)


def find_resources(plugin: str = "", state: str = "") -> "QuerySet[HostedResource]":
    """Find the resources of a plugin ('': any) in a state ('': any). Callers must limit them."""
    filters = {name: value for name, value in (("plugin", plugin), ("state", state)) if value}
    return HostedResource.objects.filter(**filters)


def find_resources_of_actions(action_ids: Iterable[str]) -> dict[str, HostedResource]:
    """Find the resources of the actions' current attempts, by action id. One query; none without ids."""
    ids = list(action_ids)
    rows = HostedResource.objects.filter(action_id__in=ids).order_by("attempt") if ids else []
    return {row.action_id: row for row in rows if row.state != HostedState.DELETING}


def serialize_phase(row: HostedResource) -> dict[str, Any]:
    """Serialize the status of a resource for the audit. `waiting`: for a quota; `ready`: for the first response."""
    body: dict[str, Any] = {"phase": row.phase if row.state == HostedState.LIVE and row.phase else row.state}
    body |= {"reason": row.reason} if row.reason else {}
    body |= {"failures": row.failures} if row.failures else {}
    return body
