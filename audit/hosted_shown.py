"""A pack that the server hosts as its page shows it: what it has at its service, and what bounds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zlib import crc32

from audit import queries
from audit.search import Told
from audit.story import story
from flows.models import ExecutionState
from packs.models import HostedResource, HostedState
from packs.webapi.queries import HostedPack, Rate, hosted_pack, phase_of, resources

PAGE = 50
STATE_WORDS = {
    HostedState.WAITING: "waiting for quota",
    HostedState.READY: "ready to start",
    HostedState.LIVE: "live",
    HostedState.DELETING: "deleting",
}


@dataclass(frozen=True)
class ShownRate:
    """A rate limit in words: `use` says how much of it is in use, as far as this process can know."""

    what: str
    qps: int
    burst: int
    use: str


@dataclass(frozen=True)
class ShownResource:
    """What an action has at its service, or waits to have."""

    row: HostedResource
    phase: str
    reason: str


@dataclass(frozen=True)
class ShownHosted:
    """`states` are (state, what it means, how many), `quotas` (namespace, in use, all), `counts` (what, how often)."""

    pack: HostedPack
    states: list[tuple[str, str, int]]
    quotas: list[tuple[str, int, int]]
    rates: list[ShownRate]
    counts: list[tuple[str, int]]


@dataclass(frozen=True)
class Resources:
    """A page of resources, and the key that the page behind it begins at; 0 where there is none."""

    rows: list[ShownResource]
    after: int


def shown_hosted(plugin: str) -> ShownHosted | None:
    """What this server hosts under this id; None where that is nothing. Three queries."""
    found = hosted_pack(plugin)
    if found is None:
        return None
    return ShownHosted(
        pack=found,
        states=[(str(state), words, found.resources[state]) for state, words in STATE_WORDS.items()],
        quotas=[(name, used, quota) for name, (used, quota) in sorted(found.quotas.items())],
        rates=[shown_rate("get", found.reads), shown_rate("create, do and delete", found.writes)],
        counts=sorted(found.counts.items()),
    )


def shown_rate(what: str, rate: Rate) -> ShownRate:
    """A limit, and how much of it is in use."""
    if rate.left is None:
        use = "each process counts for itself: there is no Redis"
    elif rate.left < 0:
        use = f"pauses for {-rate.left / rate.qps:.1f} s more"
    else:
        use = f"{max(0, rate.burst - int(rate.left))} of {rate.burst} in use"
    return ShownRate(what, rate.qps, rate.burst, use)


def resource_page(plugin: str, state: str = "", after: int = 0, most: int = PAGE) -> Resources:
    """What the plugin has at its service in this state ('': any), oldest first, behind this key. One query."""
    found = resources(plugin, after, most + 1, state if state in HostedState.values else "")
    rows = [shown_resource(one) for one in found[:most]]
    return Resources(rows, rows[-1].row.pk if len(found) > most else 0)


def shown_resource(row: HostedResource) -> ShownResource:
    """The resource with its phase in one word."""
    told = phase_of(row)
    return ShownResource(row, told["phase"], told.get("reason", ""))


def waiting_for_a_turn(rows: Mapping[str, HostedResource]) -> set[str]:
    """The ids of the actions that wait for a quota."""
    return {action_id for action_id, row in rows.items() if row.state == HostedState.WAITING}


def with_turns(rows: Sequence[Told], now: datetime) -> list[Told]:
    """The executions, with stories that say which actions wait for a quota. One query, none where no pack holds any."""
    running = [row for row in rows if row.execution.state == ExecutionState.RUNNING]
    held = queries.hosted({row.execution.id: row.actions for row in running})
    if not (queued := waiting_for_a_turn(held)):
        return list(rows)
    return [replace(row, story=story(row.execution, row.actions, now, queued)) for row in rows]


def marks(rows: Mapping[str, HostedResource]) -> str:
    """A short text that is another one whenever one of these stands otherwise than before."""
    told = "".join(f"{row.state} {row.phase} {row.reason} {row.failures}\n" for row in rows.values())
    return f"{crc32(told.encode()):08x}" if told else ""
