"""A hosted pack as its page shows it: its resources, quotas, rate limits and counters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zlib import crc32

from audit import lookups
from audit.search.executions import ExecutionRow
from audit.summary import summarize_execution
from flows.models import ExecutionState
from flyte_site.db.keyset import fetch_page
from packs.hosted_status import HostedPackStatus, RateLimitStatus, find_hosted_pack, find_resources, serialize_phase
from packs.models import HostedResource, HostedState

PAGE_SIZE = 50
STATE_LABELS = {
    HostedState.WAITING: "waiting for quota",
    HostedState.READY: "ready to start",
    HostedState.LIVE: "live",
    HostedState.DELETING: "deleting",
}


@dataclass(frozen=True)
class RateLimitRow:
    """A rate limit in words. `usage`: the used part, as far as this process knows it."""

    operations: str
    qps: int
    burst: int
    usage: str


@dataclass(frozen=True)
class HostedResourceRow:
    """A resource of a hosted pack, existing or waiting for a quota, with its phase."""

    resource: HostedResource
    phase: str
    reason: str


@dataclass(frozen=True)
class HostedPackDetail:
    """`states` are (state, description, count), `quotas` (namespace, used, total), `counts` (name, value)."""

    status: HostedPackStatus
    states: list[tuple[str, str, int]]
    quotas: list[tuple[str, int, int]]
    rates: list[RateLimitRow]
    counts: list[tuple[str, int]]


@dataclass(frozen=True)
class HostedResourcePage:
    """A page of resources, and the key after which the next page starts; 0 for the last page."""

    rows: list[HostedResourceRow]
    next_key: int


def build_hosted_detail(plugin: str) -> HostedPackDetail | None:
    """Load the hosted pack with this plugin id; None if this server does not host it. Three queries."""
    status = find_hosted_pack(plugin)
    if status is None:
        return None
    return HostedPackDetail(
        status=status,
        states=[(str(state), label, status.resources[state]) for state, label in STATE_LABELS.items()],
        quotas=[(name, used, quota) for name, (used, quota) in sorted(status.quotas.items())],
        rates=[
            build_rate_limit_row("get", status.read_rate),
            build_rate_limit_row("create, do and delete", status.write_rate),
        ],
        counts=sorted(status.counts.items()),
    )


def build_rate_limit_row(operations: str, rate: RateLimitStatus) -> RateLimitRow:
    """Describe a rate limit and its use."""
    if rate.available is None:
        usage = "counted by each process separately: Redis is not configured"
    elif rate.available < 0:
        usage = f"paused for another {-rate.available / rate.qps:.1f} s"
    else:
        usage = f"{max(0, rate.burst - int(rate.available))} of {rate.burst} in use"
    return RateLimitRow(operations, rate.qps, rate.burst, usage)


def list_resource_rows(plugin: str, state: str = "", after: int = 0, size: int = PAGE_SIZE) -> HostedResourcePage:
    """List the plugin's resources in this state ('': any) after this key, oldest first. One query."""
    resources = find_resources(plugin, state)
    page = fetch_page(resources, "pk", size, after=after)
    return HostedResourcePage([build_resource_row(resource) for resource in page.rows], page.next_key or 0)


def build_resource_row(resource: HostedResource) -> HostedResourceRow:
    """Build the row with the phase in one word."""
    phase = serialize_phase(resource)
    return HostedResourceRow(resource, phase["phase"], phase.get("reason", ""))


def find_waiting_for_quota(rows: Mapping[str, HostedResource]) -> set[str]:
    """Find the ids of the actions that wait for a quota."""
    return {action_id for action_id, row in rows.items() if row.state == HostedState.WAITING}


def add_quota_waits(rows: Sequence[ExecutionRow], now: datetime) -> list[ExecutionRow]:
    """Summarize executions again if some of their actions wait for a quota. One query; none if no hosted pack
    has any.
    """
    running = [row for row in rows if row.execution.state == ExecutionState.RUNNING]
    hosted_resources = lookups.find_hosted_resources({row.execution.id: row.actions for row in running})
    if not (waiting_for_quota := find_waiting_for_quota(hosted_resources)):
        return list(rows)
    return [
        replace(row, summary=summarize_execution(row.execution, row.actions, now, waiting_for_quota)) for row in rows
    ]


def fingerprint(rows: Mapping[str, HostedResource]) -> str:
    """Return a short text that changes whenever the status of one of these resources changes."""
    text = "".join(f"{row.state} {row.phase} {row.reason} {row.failures}\n" for row in rows.values())
    return f"{crc32(text.encode()):08x}" if text else ""
