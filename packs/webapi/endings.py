"""What becomes of a resource after a call for it: it goes on, ends its action, is tried again, or is deleted."""

from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from django.conf import settings
from django.utils import timezone

from packs.models import Action, HostedResource, HostedState
from packs.sealed import without_echo_of
from packs.webapi import resources
from packs.webapi.calls import Answer, Kind
from packs.webapi.errors import Throttled, UserFailure
from packs.webapi.hosts import Host
from packs.webapi.interfaces import check_size
from packs.webapi.phases import FATAL, Phase

log = structlog.get_logger(__name__)

# A delete that keeps failing is tried so often, at last every ten minutes: about three hours.
MOST_DELETES = 25
LONGEST_WAIT_SECONDS = 600.0
MAX_REASON = 500


def plain(text: str) -> str:
    """A text of a service or plugin as the database can keep it."""
    return text.replace("\x00", "\ufffd")[:MAX_REASON]


class Told(Protocol):
    """See `rounds.Flows`."""

    def complete(self, row: HostedResource, event: str, payload: Any) -> None: ...

    def progress(self, row: HostedResource, event: str, payload: Any) -> None: ...


class Endings:
    """Writes what came of calls for resources of `host`, all of them claimed by this worker."""

    def __init__(self, host: Host, flows: Told) -> None:
        self._host = host
        self._flows = flows

    def answered(self, row: HostedResource, kind: Kind, answer: Answer) -> None:
        """A call gave what it should."""
        now = timezone.now()
        if kind is Kind.DELETE or (kind is Kind.FIND and answer.meta is None):
            resources.end(row)
        elif kind is Kind.FIND:
            resources.release(row, now, failures=0, **resources.kept(row, answer.meta))
        elif kind is Kind.CREATE and not resources.note(
            row, state=HostedState.LIVE, **resources.kept(row, answer.meta)
        ):
            resources.keep_meta(row, answer.meta)
        elif answer.phase is None:
            resources.release(row, self._next(row, None), failures=0)
        else:
            self._stands(row, answer.phase)

    def _stands(self, row: HostedResource, phase: Phase) -> None:
        """The plugin said how the resource stands."""
        if phase.ends:
            self.finish(row, phase.event or FATAL, phase.payload)
            return
        if phase.event and phase.version != row.version:
            row.version = phase.version
            self._flows.progress(row, phase.event, phase.payload)
        reason = plain(without_echo_of(row.action_id, phase.reason)) if phase.reason else ""
        changes = {"phase": str(phase.kind), "reason": reason, "version": phase.version}
        resources.release(row, self._next(row, phase.look_again_at), failures=0, **changes)

    def _next(self, row: HostedResource, asked_for: datetime | None) -> datetime:
        """When to look again: at the resync interval or when the plugin says, but not after the action's time is up."""
        return in_time(row, asked_for or timezone.now() + self._host.config.caching.resync_interval)

    def finish(self, row: HostedResource, event: str, payload: Any, *, delete: str = "") -> None:
        """Give the action's result; then delete the resource for the reason `delete`, or forget it."""
        try:
            check_size(payload, settings.FLYTE_MAX_BODY_BYTES)
        except UserFailure as failure:
            event, payload = failure.event, failure.payload
        self._flows.complete(row, event, payload)
        if delete:
            self.abandon(row, delete)
        else:
            resources.end(row)

    def abandon(self, row: HostedResource, why: str) -> None:
        """Nobody wants it any more: delete what may be there."""
        if row.asked:
            changes = {"state": HostedState.DELETING, "delete_reason": why, "failures": 0, "reason": ""}
            resources.release(row, timezone.now(), **changes)
        else:
            resources.end(row)

    def time_out(self, row: HostedResource, action: Action) -> None:
        """The step's timeout has passed."""
        payload = {"reason": "timeout", "message": f"not done within {action.timeout} s", "command": action.name}
        self.finish(row, FATAL, payload, delete="timeout")

    def failed(self, row: HostedResource, kind: Kind, error: BaseException) -> None:
        """A call raised, or did not come back in time."""
        if isinstance(error, Throttled):
            write = kind is not Kind.GET
            pause = timedelta(seconds=self._host.throttled(write, error.retry_after))
            resources.release(
                row, in_time(row, timezone.now() + pause), reason="the service asks to be called less often"
            )
        elif kind in (Kind.DELETE, Kind.FIND):
            self._again(row, kind, error, MOST_DELETES)
        elif isinstance(error, UserFailure):
            self.finish(row, error.event, error.payload, delete="failed" if kind is Kind.GET else "")
        else:
            self._again(row, kind, error, self._host.config.caching.max_system_failures)

    def _again(self, row: HostedResource, kind: Kind, error: BaseException, most: int) -> None:
        """A system failure: try it again, or give up after so many in a row."""
        failures = row.failures + 1
        message = plain(without_echo_of(row.action_id, f"{type(error).__name__}: {error}"))
        self._host.counts.count("systemFailures")
        told = {"call": str(kind), "token": row.token, "failures": failures, "error": message}
        log.warning("plugin_call_failed", plugin=self._host.id, **told)
        if failures < most:
            resources.release(row, self._retry_at(row, kind, failures), failures=failures, reason=message)
        elif kind in (Kind.DELETE, Kind.FIND):
            self._host.counts.count("leftBehind")
            log.error("resource_left_behind", plugin=self._host.id, token=row.token, action=row.action_id)
            resources.end(row)
        else:
            payload = {"reason": "system failures", "message": message, "failures": failures, "call": str(kind)}
            self.finish(row, FATAL, payload, delete="system failures")

    def _retry_at(self, row: HostedResource, kind: Kind, failures: int) -> datetime:
        if kind is Kind.GET:
            return self._next(row, None)
        return in_time(row, timezone.now() + timedelta(seconds=min(2.0 ** (failures - 1), LONGEST_WAIT_SECONDS)))


def in_time(row: HostedResource, at: datetime) -> datetime:
    """Then, or when the action's time is up, if that is earlier."""
    return at if row.ends_at is None or row.state == HostedState.DELETING else min(at, row.ends_at)
