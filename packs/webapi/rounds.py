"""One round of work for a hosted pack: take what waits, make the calls that are due, and note what they gave.

Any number of processes may do rounds for one pack at once. A round ends when nothing is left to do, or soon after
`ROUND_SECONDS`; the next goes on. All of it runs in one thread but for the calls themselves.
"""

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from flyte_site import correlation
from flyte_site.encryption import UnreadableError
from packs import queue, waiting
from packs.models import Action, HostedResource, HostedState, Pack, State
from packs.webapi import resources
from packs.webapi.calls import Answer, Kind, call, context_of
from packs.webapi.endings import Endings
from packs.webapi.errors import UserFailure
from packs.webapi.hosts import Host
from packs.webapi.interfaces import SyncPlugin

log = structlog.get_logger(__name__)

ROUND_SECONDS = 5.0
# While calls are under way new work is looked for this often.
LOOK_SECONDS = 0.25
TAKE_AT_ONCE = 50
WRITES = (HostedState.READY, HostedState.DELETING)
# An action whose resource is there is its pack's for so long at least, though no worker should live.
LEAST_LEASE_SECONDS = 600.0


class Flows(Protocol):
    """What happens next is not the packs' business: whoever has a round done is told."""

    def complete(self, row: HostedResource, event: str, payload: Any) -> None:
        """The action's result. Raises nothing for an action that is over."""

    def progress(self, row: HostedResource, event: str, payload: Any) -> None:
        """An event on the way; told twice with the same `row.token` and `row.version` it counts once."""


class Hosting(Protocol):
    """Finds the host that answers a command."""

    def answering(self, pack_name: str, task_type: str) -> Host | None: ...


@dataclass
class Flight:
    """A call that is under way. `late` is the action, where its time was up when the call was made: what ended in time
    still counts, and else it times out."""

    row: HostedResource
    kind: Kind
    ends: float
    late: Action | None = None


@dataclass
class Round:
    """A round of `host`'s pack. Call `run` once."""

    host: Host
    pack: Pack
    hosting: Hosting
    flows: Flows
    flying: "dict[Future[Answer], Flight]" = field(default_factory=dict)
    done: int = 0

    def __post_init__(self) -> None:
        self.endings = Endings(self.host, self.flows)

    def run(self) -> int:
        """How many actions were taken and calls made."""
        ends = time.monotonic() + ROUND_SECONDS
        while True:
            begun = self._begin() if time.monotonic() < ends else 0
            self.done += begun
            if not self.flying:
                if begun:
                    continue
                return self.done
            wait(self.flying, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            self._land()

    def _begin(self) -> int:
        taken = self._take()
        resources.admit(self.host.id, self.host.config.resource_quotas, timezone.now())
        slots = self.host.capacity - len(self.flying)
        reads = self._due((HostedState.LIVE,), max(slots // 2, 1) if slots > 0 else 0, write=False)
        writes = self._due(WRITES, slots - len(reads), write=True)
        reads += self._due((HostedState.LIVE,), slots - len(reads) - len(writes), write=False)
        return taken + len(reads) + len(writes)

    def _take(self) -> int:
        """Take actions, each in one transaction with the row that remembers it."""
        if not waiting.ready({self.pack.name}):
            return 0
        room = resources.room(self.host.id, self.host.config.caching.size)
        for taken in range(min(TAKE_AT_ONCE, room)):
            if not self._take_one():
                return taken
        return min(TAKE_AT_ONCE, room)

    def _take_one(self) -> bool:
        with transaction.atomic():
            action = queue.take(self.pack)
            if action is None:
                return False
            refusal = self._remember(action)
        taken = {"action": action.id, "execution": action.correlation_id, "command": action.name}
        log.info("action_taken", pack=self.pack.identity, **taken)
        if refusal:
            row = HostedResource(action_id=action.id, attempt=action.attempt, pack_identity=self.pack.identity)
            self.flows.complete(row, refusal.event, refusal.payload)
        return True

    def _remember(self, action: Action) -> UserFailure | None:
        """Begin the action's resource; or why there will be none."""
        now = timezone.now()
        host = self.hosting.answering(self.pack.name, action.name)
        if host is None:
            return UserFailure(f"no plugin of the pack {self.pack.name} answers the command {action.name!r}")
        try:
            context = context_of(host, action, action.attempt, now)
            requirements = host.plugin().resource_requirements(context)
        except UserFailure as failure:
            return failure
        except Exception as error:
            # The message of an exception may have some of an input's secrets.
            told = {"exc_info": error} if action.secrets is None else {"error": type(error).__name__}
            log.error("requirements_failed", plugin=host.id, action=action.id, **told)
            return UserFailure(f"the plugin {host.id} failed: {type(error).__name__}")
        resources.begin(resources.Wanted(action, self.pack, host.id, requirements), now)
        queue.hold(Action.objects.filter(id=action.id), now, lease_seconds())
        return None

    def _due(self, states: Sequence[HostedState], slots: int, *, write: bool) -> list[HostedResource]:
        """Begin calls for what is due in these states, as many as the rate allows."""
        found = resources.due(self.host.id, states, timezone.now(), slots)
        allowed = (self.host.writes if write else self.host.reads).take(len(found)) if found else 0
        let_in = {row.pk for row in found[:allowed]}
        # However slow the service wants us to be, an action's time is up when it is.
        chosen = [row for row in found if row.pk in let_in or _is_late(row)]
        if not chosen:
            return []
        rows = resources.claim(chosen, timezone.now(), self.host.config.call_timeout + timedelta(seconds=5))
        actions = resources.wanted(rows)
        for row in rows:
            self._launch(row, actions.get(row.pk), row.pk in let_in)
        return rows

    def _launch(self, row: HostedResource, action: Action | None, may_call: bool) -> None:
        """Make the call that the row needs; or only note what it needs next."""
        if action:
            correlation.adopt(action.request_id)
        if row.state == HostedState.DELETING:
            self._delete(row)
        elif action is None:
            self.endings.abandon(row, self._why(row))
        elif _is_late(row) and (row.state != HostedState.LIVE or not may_call):
            self.endings.time_out(row, action)
        elif row.state == HostedState.LIVE:
            self._fly(row, Kind.GET, None, late=action if _is_late(row) else None)
        else:
            if not row.asked:
                ends = timezone.now() + timedelta(seconds=action.timeout) if action.timeout else None
                resources.note(row, asked=True, ends_at=ends)
            self._fly(row, Kind.DO if self._is_sync() else Kind.CREATE, action)

    def _delete(self, row: HostedResource) -> None:
        if self._is_sync():
            resources.end(row)
        elif row.meta is not None or row.sealed is not None:
            self._fly(row, Kind.DELETE, None)
        else:
            self._fly(row, Kind.FIND, Action.objects.filter(id=row.action_id).first())

    def _is_sync(self) -> bool:
        try:
            return isinstance(self.host.plugin(), SyncPlugin)
        except Exception:  # the call itself will fail the same way, and be counted
            return False

    def _fly(self, row: HostedResource, kind: Kind, action: Action | None, late: Action | None = None) -> None:
        # An action that was retried meanwhile is at another attempt than the row.
        context = context_of(self.host, action, row.attempt, row.taken_at) if action else None
        try:
            meta = resources.meta_of(row)
        except UnreadableError as error:
            self.endings.failed(row, kind, error)
            return
        future = self.host.submit(call(self.host, kind, meta, row.delete_reason, context))
        self.host.counts.count(f"calls.{kind}")
        ends = time.monotonic() + self.host.config.call_timeout.total_seconds()
        self.flying[future] = Flight(row, kind, ends, late)

    def _land(self) -> None:
        """Note what has come of the calls, and give up those that take too long."""
        for future, flight in list(self.flying.items()):
            if future.done():
                del self.flying[future]
                self._settle(flight, future)
            elif time.monotonic() > flight.ends:
                del self.flying[future]
                future.cancel()
                seconds = self.host.config.call_timeout.total_seconds()
                self._failed(flight, TimeoutError(f"no answer within {seconds:g} s"))

    def _settle(self, flight: Flight, future: "Future[Answer]") -> None:
        error = future.exception()
        if error is not None:
            self._failed(flight, error)
            return
        self.host.answered()
        answer = future.result()
        if flight.late and not (answer.phase and answer.phase.ends):
            self.endings.time_out(flight.row, flight.late)
        else:
            self.endings.answered(flight.row, flight.kind, answer)

    def _failed(self, flight: Flight, error: BaseException) -> None:
        if flight.late:
            log.warning("last_look_failed", plugin=self.host.id, token=flight.row.token, error=type(error).__name__)
            self.endings.time_out(flight.row, flight.late)
        else:
            self.endings.failed(flight.row, flight.kind, error)

    def _why(self, row: HostedResource) -> str:
        """Why the row's attempt is over."""
        action = Action.objects.filter(id=row.action_id).only("state", "attempt").first()
        if action is None:
            return "the execution is gone"
        return "cancelled" if action.state == State.CANCELLED else "the attempt is over"


def _is_late(row: HostedResource) -> bool:
    """Whether the time that the step gives the action is up."""
    return row.ends_at is not None and row.ends_at <= timezone.now() and row.state != HostedState.DELETING


def lease_seconds() -> float:
    """For how long the lease of a hosted action is extended each time."""
    return max(LEAST_LEASE_SECONDS, float(settings.FLYTE_ACTION_LEASE_SECONDS))
