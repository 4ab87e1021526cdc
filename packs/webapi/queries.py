"""What pages show of hosted packs: resources and their phases, quotas, rates, counts, open approvals. All bounded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count

from packs.models import HOLDING, Approval, HostedCount, HostedResource, HostedState
from packs.webapi.approvals import open_approvals
from packs.webapi.config import RateLimiterConfig
from packs.webapi.hosting import hosting
from packs.webapi.hosts import Host
from packs.webapi.limits import Bucket

MOST = 1000


@dataclass(frozen=True)
class Rate:
    """A rate limit, and how many calls could begin now – negative in a pause, None where every process has its own."""

    qps: int
    burst: int
    left: float | None


@dataclass(frozen=True)
class HostedPack:
    """A plugin that this server hosts. `resources`: how many by state; `quotas`: by namespace, those in use and all."""

    id: str
    resources: Mapping[str, int]
    quotas: Mapping[str, tuple[int, int]]
    reads: Rate
    writes: Rate
    counts: Mapping[str, int]


def hosted_packs() -> list[HostedPack]:
    """What this server hosts, in the order of the setting. Three queries."""
    return _hosted_packs(hosting().hosts)


def hosted_pack(plugin: str) -> HostedPack | None:
    """The hosted plugin of this id; None where this server hosts none such. Three queries."""
    host = hosting().hosts.get(plugin)
    return _hosted_packs({plugin: host})[0] if host else None


def _hosted_packs(hosts: Mapping[str, Host]) -> list[HostedPack]:
    states = _states(hosts)
    used = _used(hosts)
    counts: dict[str, dict[str, int]] = {one: {} for one in hosts}
    for row in HostedCount.objects.filter(plugin__in=list(hosts)).order_by("plugin", "name")[:MOST]:
        counts[row.plugin][row.name] = row.value
    return [_hosted_pack(host, states[one], used[one], counts[one]) for one, host in hosts.items()]


def _states(ids: Iterable[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {one: dict.fromkeys(HostedState.values, 0) for one in ids}
    rows = HostedResource.objects.filter(plugin__in=list(found)).order_by()
    for plugin, state, count in rows.values_list("plugin", "state").annotate(count=Count("id")):
        found[plugin][state] = count
    return found


def _used(ids: Iterable[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {one: {} for one in ids}
    rows = HostedResource.objects.filter(plugin__in=list(found), state__in=HOLDING).order_by()
    for plugin, namespace, count in rows.values_list("plugin", "namespace").annotate(count=Count("id"))[:MOST]:
        found[plugin][namespace] = count
    return found


def _hosted_pack(
    host: Host, states: Mapping[str, int], used: Mapping[str, int], counts: Mapping[str, int]
) -> HostedPack:
    config = host.config
    quotas = {name: (used.get(name, 0), quota) for name, quota in config.resource_quotas.items()}
    reads, writes = _rate(config.read_rate_limiter, host.reads), _rate(config.write_rate_limiter, host.writes)
    return HostedPack(host.id, states, quotas, reads, writes, counts)


def _rate(config: RateLimiterConfig, bucket: Bucket) -> Rate:
    shared = bool(settings.FLYTE_REDIS_URL)
    return Rate(config.qps, config.burst, bucket.left() if shared else None)


def resources(plugin: str = "", after: int = 0, limit: int = 100, state: str = "") -> list[HostedResource]:
    """What is there or waits to be, oldest first, behind the row of the id `after`."""
    wanted = {name: value for name, value in (("plugin", plugin), ("state", state)) if value}
    rows = HostedResource.objects.filter(id__gt=after, **wanted).order_by("id")
    return list(rows[: min(limit, MOST + 1)])


def of_actions(action_ids: Iterable[str]) -> dict[str, HostedResource]:
    """By action, what its current attempt has or waits for. One query, none where there are no ids."""
    ids = list(action_ids)
    rows = HostedResource.objects.filter(action_id__in=ids).order_by("attempt") if ids else []
    return {row.action_id: row for row in rows if row.state != HostedState.DELETING}


def phase_of(row: HostedResource) -> dict[str, Any]:
    """How a resource stands, as the audit shows it: `waiting` is for its quota, `ready` for the first answer."""
    shown: dict[str, Any] = {"phase": row.phase if row.state == HostedState.LIVE and row.phase else row.state}
    shown |= {"reason": row.reason} if row.reason else {}
    shown |= {"failures": row.failures} if row.failures else {}
    return shown


def approvals(after: int = 0, limit: int = 100) -> list[Approval]:
    """Questions that wait for a decision, oldest first, behind the row of the id `after`."""
    return list(open_approvals().filter(id__gt=after).order_by("id")[: min(limit, MOST + 1)])
