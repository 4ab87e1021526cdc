"""Events: start an execution of every flow that listens, and record the event."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from django.db import transaction

from flows.engine import event_history
from flows.engine.matching import FlowMatch, SubscribedFlows, match_flows
from flows.engine.step import IncomingEvent, OutcomeKind
from flows.models import Execution, ReceivedKey
from flyte_site.core.ids import new_id
from flyte_site.core.observability import metrics, request_ids, tracing
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.db.conflicts import retry_conflicts
from flyte_site.db.table_sql import DATABASE_UNAVAILABLE, DirectWrites, TableSQL, WriteBatch, Writes
from packs.queue import action_queue
from packs.queue.action_queue import ExecutionRef

log = structlog.get_logger("flows.engine")

EXECUTION_TABLE = TableSQL(Execution)
IDEMPOTENCY_KEY_TTL = timedelta(hours=24)
MAX_IDEMPOTENCY_KEY_LENGTH = 255
MAX_LOGGED_FLOWS = 5
NO_START_REASONS = {
    OutcomeKind.LABELS_MISMATCH: "labels mismatch",
    OutcomeKind.CRITERIA_FALSE: "criteria false",
    OutcomeKind.ERROR: "error",
    OutcomeKind.FIRED: "error",  # it fired, but a failure of the server kept the flow from starting
}

T = TypeVar("T")


class IdempotencyKeyReusedError(Exception):
    """The idempotency key was used for a different event."""


@dataclass(frozen=True)
class IdempotencyKey:
    """Identity of an event that can be sent twice: the sender's key, and a digest of the request."""

    key: str
    digest: str


def handle_event(event: IncomingEvent, key: IdempotencyKey | None = None, flows: SubscribedFlows | None = None) -> bool:
    """Start every flow that subscribes to the event (`flows`, if they are read). On return all effects are committed.

    With a key, an event that was already received starts nothing; then return False. Raise `IdempotencyKeyReusedError`
    if the key was used for a different event.
    """
    with tracing.start_span("event", pack=event.pack.identity, event=event.name, request_id=request_ids.current()):
        matches = match_flows(event, flows)

        def write(writes: Writes) -> bool:
            if key and not _claim_key(event, key):
                return False
            start_executions(writes, event, matches)
            return True

        # A batch is atomic by itself; together with the key it needs a transaction.
        if (matches or key) and not commit_isolating_failures(write, in_transaction=key is not None):
            metrics.count_event(event.pack.name, "repeated")
            return False
        if matches:
            event_history.prune_events(event)
        else:
            event_history.record_sample(event)
        execution_ids = " ".join([match.correlation_id for match in matches if match.correlation_id])
        metrics.count_event(event.pack.name, count_matches(matches))
        fields = {"pack": event.pack.identity, "event_name": event.name, "flows": len(matches)}
        result = {"executions": execution_ids} if execution_ids else {"reason": explain_no_start(matches)}
        log.info("event_received", **fields, **result)
        return True


@retry_conflicts
def commit_isolating_failures(write: Callable[[Writes], T], *, in_transaction: bool = True) -> T:
    """Write as one batch. If a flow fails, undo all of it and write again with each flow isolated by a savepoint.

    Savepoints cost as much as the writes that they isolate, so they are made only after a failure.
    """
    try:
        with transaction.atomic() if in_transaction else nullcontext(), WriteBatch() as batch:
            return write(batch)
    except (*DATABASE_UNAVAILABLE, IdempotencyKeyReusedError):
        raise
    except Exception as error:
        log.warning("flows_isolated", error=type(error).__name__)
        with transaction.atomic():
            return write(DirectWrites())


def start_executions(writes: Writes, event: IncomingEvent, matches: list[FlowMatch], replay_of: str = "") -> None:
    """Start the executions of an event, and record the event if any flow subscribes to it."""
    event_id = new_id()
    for match in matches:
        start_execution(writes, match, event, event_id, replay_of)
    if matches:
        event_history.record_event(writes, event_id, event, [match.to_json() for match in matches])


def start_execution(writes: Writes, match: FlowMatch, event: IncomingEvent, event_id: str, replay_of: str = "") -> None:
    """Start an execution with all trigger steps that fired, if any."""
    action_specs = match.action_specs
    if not action_specs:
        return
    errors = build_error_entries(match, event)
    with writes.isolate(match.mark_failed):
        match.correlation_id = new_id()
        execution_ref = ExecutionRef(match.correlation_id, match.flow_name, match.version_id)
        actions = action_queue.enqueue(writes, execution_ref, action_specs, event.received_at)
        execution = Execution(
            id=match.correlation_id,
            flow_name=match.flow_name,
            version_id=match.version_id,
            event_id=event_id,
            errors=errors,
            started_at=event.received_at,
            changed_at=event.received_at,
            replay_of=replay_of,
            latest_action_id=actions[-1].id,
        )
        EXECUTION_TABLE.insert(writes, [execution])


def build_error_entries(match: FlowMatch, event: IncomingEvent) -> list[dict[str, Any]]:
    """Build the entries of the execution's `errors` for the steps that could not be evaluated."""
    return [
        outcome.to_json()
        | {"event": event.name, "packName": event.pack.name, "time": format_rfc3339(event.received_at)}
        for outcome in match.outcomes
        if outcome.kind is OutcomeKind.ERROR
    ]


def explain_no_start(matches: Sequence[FlowMatch]) -> str:
    """Explain in a few words, for the log, why an event started no execution.

    The messages of outcomes can quote values of the event, so only their kinds are used.
    """
    if not matches:
        return "no enabled flow subscribes to this event"
    reasons = [
        f"flow {match.flow_name}: {' and '.join(dict.fromkeys(NO_START_REASONS[step.kind] for step in match.outcomes))}"
        for match in matches[:MAX_LOGGED_FLOWS]
    ]
    omitted = len(matches) - MAX_LOGGED_FLOWS
    return "; ".join([*reasons, *([f"{omitted} more flows"] if omitted > 0 else [])])


def count_matches(matches: Sequence[FlowMatch], own_execution_id: str = "") -> str:
    """Count the outcomes of an event by flow, and return the event's outcome for the metrics.

    `own_execution_id` is the execution that the event belongs to, which it did not start.
    """
    has_execution = has_error = False
    for match in matches:
        has_execution = has_execution or bool(match.correlation_id)
        errors = [outcome.kind for outcome in match.outcomes].count(OutcomeKind.ERROR)
        has_error = has_error or errors > 0
        is_started = match.correlation_id not in ("", own_execution_id)
        metrics.count_flow(match.flow_name, fired=is_started, errors=errors)
    return "fired" if has_execution else "error" if has_error else "unmet" if matches else "unheard"


def _claim_key(event: IncomingEvent, key: IdempotencyKey) -> bool:
    """Record the key; return False if the event was already received with it. A key expires after a day."""
    same_key = ReceivedKey.objects.filter(pack_identity=event.pack.identity, key=key.key)
    same_key.filter(received_at__lte=event.received_at - IDEMPOTENCY_KEY_TTL).delete()
    defaults = {"digest": key.digest, "received_at": event.received_at}
    received_key, created = ReceivedKey.objects.get_or_create(
        pack_identity=event.pack.identity, key=key.key, defaults=defaults
    )
    if received_key.digest != key.digest:
        raise IdempotencyKeyReusedError(key.key)
    return created
