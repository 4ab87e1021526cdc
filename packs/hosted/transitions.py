"""State transitions of a resource after a call: continue, finish the action, retry, or delete."""

from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from django.conf import settings
from django.utils import timezone

from packs.hosted import resources
from packs.hosted.plugin_api.errors import Throttled, UserFailure
from packs.hosted.plugin_api.interfaces import check_result_size
from packs.hosted.plugin_api.phases import FATAL, Phase
from packs.hosted.plugin_calls import CallKind, CallResult
from packs.hosted.runtime import PluginRuntime
from packs.models import Action, HostedResource, HostedState
from packs.queue.action_secrets import redact_action_secrets_by_id

log = structlog.get_logger(__name__)

# Attempts at a deletion, at last every ten minutes: about three hours in total.
MAX_DELETE_ATTEMPTS = 25
MAX_BACKOFF_SECONDS = 600.0
MAX_REASON_LENGTH = 500


def sanitize_text(text: str) -> str:
    """Return a text from a service or plugin in a form that the database accepts."""
    return text.replace("\x00", "\ufffd")[:MAX_REASON_LENGTH]


class ResultSink(Protocol):
    """Receiver of results, in the layer above packs."""

    def complete(self, row: HostedResource, event: str, payload: Any) -> None:
        """Record the action's result. Raise nothing if the action has ended."""

    def progress(self, row: HostedResource, event: str, payload: Any) -> None:
        """Record a progress event; a repetition with the same `row.token` and `row.version` counts once."""


class ResourceTransitions:
    """Writes the outcome of calls for resources that this worker has claimed."""

    def __init__(self, runtime: PluginRuntime, sink: ResultSink) -> None:
        self._runtime = runtime
        self._sink = sink

    def handle_result(self, row: HostedResource, kind: CallKind, result: CallResult) -> None:
        """Handle a successful call."""
        now = timezone.now()
        if kind is CallKind.DELETE or (kind is CallKind.FIND and result.meta is None):
            resources.delete_claimed(row)
        elif kind is CallKind.FIND:
            resources.release_claim(row, now, failures=0, **resources.meta_fields(row, result.meta))
        elif kind is CallKind.CREATE and not resources.update_claimed(
            row, state=HostedState.LIVE, **resources.meta_fields(row, result.meta)
        ):
            resources.store_meta_after_lost_claim(row, result.meta)
        elif result.phase is None:
            resources.release_claim(row, self._next_poll_at(row, None), failures=0)
        else:
            self._apply_phase(row, result.phase)

    def _apply_phase(self, row: HostedResource, phase: Phase) -> None:
        """Apply the phase that the plugin reported."""
        if phase.is_final:
            self.finish(row, phase.event or FATAL, phase.payload)
            return
        if phase.event and phase.version != row.version:
            row.version = phase.version
            self._sink.progress(row, phase.event, phase.payload)
        reason = sanitize_text(redact_action_secrets_by_id(row.action_id, phase.reason)) if phase.reason else ""
        changes = {"phase": str(phase.kind), "reason": reason, "version": phase.version}
        resources.release_claim(row, self._next_poll_at(row, phase.next_poll_at), failures=0, **changes)

    def _next_poll_at(self, row: HostedResource, requested_at: datetime | None) -> datetime:
        """Return the time of the next poll: after the resync interval or as requested, but not past the deadline."""
        return cap_at_deadline(row, requested_at or timezone.now() + self._runtime.config.caching.resync_interval)

    def finish(self, row: HostedResource, event: str, payload: Any, *, delete_reason: str = "") -> None:
        """Record the action's result; then delete the resource with this `delete_reason`, or only its row."""
        try:
            check_result_size(payload, settings.FLYTE_MAX_RESULT_BYTES)
        except UserFailure as failure:
            event, payload = failure.event, failure.payload
        self._sink.complete(row, event, payload)
        if delete_reason:
            self.start_deletion(row, delete_reason)
        else:
            resources.delete_claimed(row)

    def start_deletion(self, row: HostedResource, reason: str) -> None:
        """Delete the resource, which may exist at the service."""
        if row.create_called:
            changes = {"state": HostedState.DELETING, "delete_reason": reason, "failures": 0, "reason": ""}
            resources.release_claim(row, timezone.now(), **changes)
        else:
            resources.delete_claimed(row)

    def time_out(self, row: HostedResource, action: Action) -> None:
        """End the action: the step's timeout has passed."""
        payload = {"reason": "timeout", "message": f"not finished within {action.timeout} s", "command": action.name}
        self.finish(row, FATAL, payload, delete_reason="timeout")

    def handle_error(self, row: HostedResource, kind: CallKind, error: BaseException) -> None:
        """Handle a call that raised or timed out."""
        if isinstance(error, Throttled):
            is_write = kind is not CallKind.GET
            pause = timedelta(seconds=self._runtime.record_throttling(is_write, error.retry_after))
            resources.release_claim(
                row, cap_at_deadline(row, timezone.now() + pause), reason="the service is throttling calls"
            )
        elif kind in (CallKind.DELETE, CallKind.FIND):
            self._retry_or_fail(row, kind, error, MAX_DELETE_ATTEMPTS)
        elif isinstance(error, UserFailure):
            self.finish(row, error.event, error.payload, delete_reason="failed" if kind is CallKind.GET else "")
        else:
            self._retry_or_fail(row, kind, error, self._runtime.config.caching.max_system_failures)

    def _retry_or_fail(self, row: HostedResource, kind: CallKind, error: BaseException, max_failures: int) -> None:
        """Retry after a system failure, or fail after `max_failures` in a row."""
        failures = row.failures + 1
        message = sanitize_text(redact_action_secrets_by_id(row.action_id, f"{type(error).__name__}: {error}"))
        self._runtime.counters.count("systemFailures")
        log_fields = {"call": str(kind), "token": row.token, "failures": failures, "error": message}
        log.warning("plugin_call_failed", plugin=self._runtime.id, **log_fields)
        if failures < max_failures:
            resources.release_claim(row, self._retry_at(row, kind, failures), failures=failures, reason=message)
        elif kind in (CallKind.DELETE, CallKind.FIND):
            self._runtime.counters.count("leftBehind")
            log.error("resource_left_behind", plugin=self._runtime.id, token=row.token, action=row.action_id)
            resources.delete_claimed(row)
        else:
            payload = {"reason": "system failures", "message": message, "failures": failures, "call": str(kind)}
            self.finish(row, FATAL, payload, delete_reason="system failures")

    def _retry_at(self, row: HostedResource, kind: CallKind, failures: int) -> datetime:
        if kind is CallKind.GET:
            return self._next_poll_at(row, None)
        return cap_at_deadline(row, timezone.now() + timedelta(seconds=min(2.0 ** (failures - 1), MAX_BACKOFF_SECONDS)))


def cap_at_deadline(row: HostedResource, at: datetime) -> datetime:
    """Return the earlier of `at` and the action's deadline."""
    return at if row.ends_at is None or row.state == HostedState.DELETING else min(at, row.ends_at)
