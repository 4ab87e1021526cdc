"""A round of work for a hosted pack: take queued actions, make due calls, and record their results.

Any number of processes may run rounds for one pack at the same time. A round ends when no work is left or soon after
`MAX_ROUND_SECONDS`; the next one continues. All of it runs in one thread except the calls.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from flyte_site.core.clock import database_clock
from flyte_site.core.observability import request_ids
from flyte_site.core.secrets.encryption import DecryptionError
from packs.hosted import quotas, resources
from packs.hosted.plugin_api.errors import UserFailure
from packs.hosted.plugin_api.interfaces import SyncPlugin
from packs.hosted.plugin_calls import CallKind, CallResult, build_context, prepare_call
from packs.hosted.runtime import PluginRuntime
from packs.hosted.transitions import ResourceTransitions, ResultSink
from packs.models import Action, ActionState, HostedResource, HostedState, Pack
from packs.queue import long_poll
from packs.queue.leases import extend_leases
from packs.queue.take import take

log = structlog.get_logger(__name__)

MAX_ROUND_SECONDS = 5.0
# Time between two searches for new work while calls are in progress.
POLL_SECONDS = 0.25
MAX_TAKES = 50
WRITE_STATES = (HostedState.READY, HostedState.DELETING)
# Minimum lease of an action with a resource, in case no worker is running.
MIN_LEASE_SECONDS = 600.0


RuntimeFinder: TypeAlias = Callable[[str, str], PluginRuntime | None]
"""Finds the runtime for a pack's name and a command."""


@dataclass
class InFlightCall:
    """A call in progress. `overdue_action` is set if the action's time had expired before the call: a result still
    counts; otherwise the action times out.
    """

    row: HostedResource
    kind: CallKind
    deadline: float
    overdue_action: Action | None = None


@dataclass
class Reconciler:
    """A round of the pack of `runtime`. Call `run` once."""

    runtime: PluginRuntime
    pack: Pack
    find_runtime: RuntimeFinder
    sink: ResultSink
    in_flight: "dict[Future[CallResult], InFlightCall]" = field(default_factory=dict)
    done_count: int = 0

    def __post_init__(self) -> None:
        self.transitions = ResourceTransitions(self.runtime, self.sink)

    def run(self) -> int:
        """Run the round; return the number of actions taken and calls made."""
        deadline = time.monotonic() + MAX_ROUND_SECONDS
        while True:
            started_count = self._start_work() if time.monotonic() < deadline else 0
            self.done_count += started_count
            if not self.in_flight:
                if started_count:
                    continue
                return self.done_count
            wait(self.in_flight, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            self._collect_done()

    def _start_work(self) -> int:
        taken_count = self._take_actions()
        quotas.admit_waiting(self.runtime.id, self.runtime.config.resource_quotas, timezone.now())
        slots = self.runtime.capacity - len(self.in_flight)
        reads = self._start_due_calls((HostedState.LIVE,), max(slots // 2, 1) if slots > 0 else 0, is_write=False)
        writes = self._start_due_calls(WRITE_STATES, slots - len(reads), is_write=True)
        reads += self._start_due_calls((HostedState.LIVE,), slots - len(reads) - len(writes), is_write=False)
        return taken_count + len(reads) + len(writes)

    def _take_actions(self) -> int:
        """Take actions, each in one transaction with its `HostedResource` row."""
        if not long_poll.find_ready({self.pack.name}):
            return 0
        capacity = resources.remaining_capacity(self.runtime.id, self.runtime.config.caching.size)
        for taken_count in range(min(MAX_TAKES, capacity)):
            if not self._take_action():
                return taken_count
        return min(MAX_TAKES, capacity)

    def _take_action(self) -> bool:
        with transaction.atomic():
            action = take(self.pack)
            if action is None:
                return False
            refusal = self._create_resource(action)
        log_fields = {"action": action.id, "execution": action.correlation_id, "command": action.name}
        log.info("action_taken", pack=self.pack.identity, **log_fields)
        if refusal:
            row = HostedResource(action_id=action.id, attempt=action.attempt, pack_identity=self.pack.identity)
            self.sink.complete(row, refusal.event, refusal.payload)
        return True

    def _create_resource(self, action: Action) -> UserFailure | None:
        """Create the action's resource row; return the failure if that is impossible."""
        now = timezone.now()
        runtime = self.find_runtime(self.pack.name, action.name)
        if runtime is None:
            return UserFailure(f"no plugin of pack {self.pack.name} supports command {action.name!r}")
        try:
            context = build_context(runtime, action, action.attempt, now)
            requirements = runtime.get_plugin().resource_requirements(context)
        except UserFailure as failure:
            return failure
        except Exception as error:
            # The message of an exception may contain secrets of the input.
            log_fields = {"exc_info": error} if action.secrets is None else {"error": type(error).__name__}
            log.error("requirements_failed", plugin=runtime.id, action=action.id, **log_fields)
            return UserFailure(f"plugin {runtime.id} failed: {type(error).__name__}")
        resources.create_resource(resources.ResourceRequest(action, self.pack, runtime.id, requirements), now)
        extend_leases(Action.objects.filter(id=action.id), hosted_lease_seconds())
        return None

    def _start_due_calls(self, states: Sequence[HostedState], slots: int, *, is_write: bool) -> list[HostedResource]:
        """Start due calls for rows in these states, as many as the rate limit allows."""
        due = resources.find_due(self.runtime.id, states, timezone.now(), slots)
        allowed_count = (
            (self.runtime.write_bucket if is_write else self.runtime.read_bucket).take(len(due)) if due else 0
        )
        allowed_ids = {row.pk for row in due[:allowed_count]}
        # A rate limit does not postpone the action's timeout.
        selected = [row for row in due if row.pk in allowed_ids or _is_overdue(row)]
        if not selected:
            return []
        rows = resources.claim_due(selected, timezone.now(), self.runtime.config.call_timeout + timedelta(seconds=5))
        actions = resources.find_active_actions(rows)
        for row in rows:
            self._start_call(row, actions.get(row.pk), row.pk in allowed_ids)
        return rows

    def _start_call(self, row: HostedResource, action: Action | None, is_call_allowed: bool) -> None:
        """Start the call that the row needs, or write its next state."""
        if action:
            request_ids.resume(action.request_id)
        if row.state == HostedState.DELETING:
            self._start_deletion(row)
        elif action is None:
            self.transitions.start_deletion(row, self._end_reason(row))
        elif _is_overdue(row) and (row.state != HostedState.LIVE or not is_call_allowed):
            self.transitions.time_out(row, action)
        elif row.state == HostedState.LIVE:
            self._submit_call(row, CallKind.GET, None, overdue_action=action if _is_overdue(row) else None)
        else:
            if not row.create_called:
                ends_at = timezone.now() + timedelta(seconds=action.timeout) if action.timeout else None
                resources.update_claimed(row, create_called=True, ends_at=ends_at)
            self._submit_call(row, CallKind.DO if self._is_sync() else CallKind.CREATE, action)

    def _start_deletion(self, row: HostedResource) -> None:
        if self._is_sync():
            resources.delete_claimed(row)
        elif row.meta is not None or row.encrypted_meta is not None:
            self._submit_call(row, CallKind.DELETE, None)
        else:
            self._submit_call(row, CallKind.FIND, Action.objects.filter(id=row.action_id).first())

    def _is_sync(self) -> bool:
        try:
            return isinstance(self.runtime.get_plugin(), SyncPlugin)
        except Exception:  # the call itself will fail in the same way and be counted
            return False

    def _submit_call(
        self, row: HostedResource, kind: CallKind, action: Action | None, overdue_action: Action | None = None
    ) -> None:
        # After a retry, the action's attempt differs from the row's.
        context = build_context(self.runtime, action, row.attempt, row.taken_at) if action else None
        try:
            meta = resources.read_meta(row)
        except DecryptionError as error:
            self.transitions.handle_error(row, kind, error)
            return
        future = self.runtime.submit(prepare_call(self.runtime, kind, meta, row.delete_reason, context))
        self.runtime.counters.count(f"calls.{kind}")
        deadline = time.monotonic() + self.runtime.config.call_timeout.total_seconds()
        self.in_flight[future] = InFlightCall(row, kind, deadline, overdue_action)

    def _collect_done(self) -> None:
        """Handle finished calls, and abandon those past their deadline."""
        for future, call in list(self.in_flight.items()):
            if future.done():
                del self.in_flight[future]
                self._handle_done(call, future)
            elif time.monotonic() > call.deadline:
                del self.in_flight[future]
                future.cancel()
                seconds = self.runtime.config.call_timeout.total_seconds()
                self._handle_failure(call, TimeoutError(f"no response within {seconds:g} s"))

    def _handle_done(self, call: InFlightCall, future: "Future[CallResult]") -> None:
        error = future.exception()
        if error is not None:
            self._handle_failure(call, error)
            return
        self.runtime.reset_throttling()
        result = future.result()
        if call.overdue_action and not (result.phase and result.phase.is_final):
            self.transitions.time_out(call.row, call.overdue_action)
        else:
            self.transitions.handle_result(call.row, call.kind, result)

    def _handle_failure(self, call: InFlightCall, error: BaseException) -> None:
        if call.overdue_action:
            log.warning("last_look_failed", plugin=self.runtime.id, token=call.row.token, error=type(error).__name__)
            self.transitions.time_out(call.row, call.overdue_action)
        else:
            self.transitions.handle_error(call.row, call.kind, error)

    def _end_reason(self, row: HostedResource) -> str:
        """Return the reason why the row's attempt has ended."""
        action = Action.objects.filter(id=row.action_id).only("state", "attempt").first()
        if action is None:
            return "execution not found"
        return "cancelled" if action.state == ActionState.CANCELLED else "attempt ended"


def _is_overdue(row: HostedResource) -> bool:
    """Return True if the step's timeout has passed."""
    if row.ends_at is None or row.state == HostedState.DELETING:
        return False
    return database_clock().has_passed(row.taken_at, row.ends_at)


def hosted_lease_seconds() -> float:
    """Return the length of a lease extension for hosted actions."""
    return max(MIN_LEASE_SECONDS, float(settings.FLYTE_ACTION_LEASE_SECONDS))
