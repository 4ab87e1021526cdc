"""What drives flows: an event starts executions, a result continues one and may start others.

Steps are evaluated by `flows.engine.step`, actions are written by `packs.queue`; this module says when, and in which
transaction.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from flows.engine import event_history
from flows.engine.evaluation import evaluate_dependents
from flows.engine.matching import FlowMatch, evaluate_with_datastore, load_definition, match_flows
from flows.engine.secrets import redact_result
from flows.engine.step import EventSource, IncomingEvent, OutcomeKind, StepOutcome
from flows.models import Execution, ExecutionState, ReceivedKey
from flyte_site.core import metrics, request_ids, tracing
from flyte_site.core.ids import new_id
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.db.table_sql import TableSQL, select_pipelined, single_statement
from packs.models import Action, ActionState, Pack
from packs.queue import action_queue
from packs.queue.action_queue import ExecutionRef, ResultStatus
from packs.queue.action_secrets import unreadable_reason

log = structlog.get_logger("flows.engine")

EXECUTION_TABLE = TableSQL(Execution)
IDEMPOTENCY_KEY_TTL = timedelta(hours=24)


T = TypeVar("T")


class IdempotencyKeyReusedError(Exception):
    """The idempotency key was used for another event."""


@dataclass(frozen=True)
class IdempotencyKey:
    """What tells an event that is sent again from another one: the sender's key, and a digest of what was sent."""

    key: str
    digest: str


def handle_event(event: IncomingEvent, idempotency_key: IdempotencyKey | None = None) -> None:
    """Start every flow that listens to the event. When this returns, all that it causes is committed.

    With `once`, an event that was taken already starts nothing again; raises `OtherEventError` where its key was used
    for another.
    """
    with tracing.start_span("event", pack=event.pack.identity, event=event.name, request_id=request_ids.current()):
        _handle_event(event, idempotency_key)


def _handle_event(event: IncomingEvent, idempotency_key: IdempotencyKey | None) -> None:
    matches = match_flows(event)

    def write(isolated: bool) -> bool:
        if idempotency_key and not _claim_key(event, idempotency_key):
            return False
        start_executions(event, matches, isolated=isolated)
        return True

    # What starts flows is whole by itself; together with the key it needs a transaction.
    if (matches or idempotency_key) and not commit_isolating_failures(
        write, transaction.atomic if idempotency_key else nullcontext
    ):
        metrics.count_event(event.pack.name, "repeated")
        return
    if matches:
        event_history.prune_events(event)
    else:
        event_history.record_sample(event)
    metrics.count_event(event.pack.name, count_matches(matches))
    execution_ids = " ".join(match.correlation_id for match in matches if match.correlation_id)
    fields = {"pack": event.pack.identity, "event_name": event.name, "flows": len(matches)}
    log.info("event_received", **fields, **({"executions": execution_ids} if execution_ids else {}))


def commit_isolating_failures(
    write: Callable[[bool], T], unit: Callable[[], AbstractContextManager[Any]] = transaction.atomic
) -> T:
    """What `write` gives, as a `whole`.

    Flows are alone with their failures by savepoints, and these cost as much as what they guard. So all is written
    without them; if anything fails, all of it is undone and written again with each flow `apart`.
    """
    try:
        with unit():
            return write(False)
    except (OperationalError, InterfaceError, IdempotencyKeyReusedError):
        raise
    except Exception as error:
        log.warning("written_apart", error=type(error).__name__)
        with transaction.atomic():
            return write(True)


def start_executions(
    event: IncomingEvent, matches: list[FlowMatch], replay_of: str = "", *, isolated: bool = True
) -> None:
    """Begin the executions of an event, and keep the event; `apart` within a transaction, else as a whole."""
    event_id = new_id()
    with nullcontext() if isolated else single_statement():
        for match in matches:
            _start_execution(match, event, event_id, replay_of, isolated=isolated)
        _record_event(event_id, event, matches)


def _record_event(event_id: str, event: IncomingEvent, matches: Sequence[FlowMatch], correlation_id: str = "") -> None:
    """Keep the event with what each flow made of it, where any listened."""
    if matches:
        event_history.record_event(event_id, event, [match.to_json() for match in matches], correlation_id)


def count_matches(matches: Sequence[FlowMatch], own_execution_id: str = "") -> str:
    """Count what flows made of an event, and say it in a word. `own` is the execution that the event belongs to."""
    total_errors = 0
    for match in matches:
        error_count = sum(outcome.kind is OutcomeKind.ERROR for outcome in match.outcomes)
        metrics.count_flow(
            match.flow_name, fired=match.correlation_id not in ("", own_execution_id), errors=error_count
        )
        total_errors += error_count
    if any(match.correlation_id for match in matches):
        return "fired"
    return "error" if total_errors else "unmet" if matches else "unheard"


@dataclass
class Completion:
    """What became of a result: the execution and the action as they are now, and who heard of it."""

    execution: Execution
    action: Action
    status: ResultStatus
    matches: list[FlowMatch] = field(default_factory=list)


def _count_completion(completion: Completion) -> None:
    """Count a result, and what it caused."""
    metrics.count_result(completion.action.pack_name, completion.status.value)
    count_matches(completion.matches, completion.execution.id)
    if completion.status is ResultStatus.ACCEPTED and completion.execution.ended_at:
        metrics.count_execution(completion.execution.flow_name, completion.execution.state)


def _claim_key(event: IncomingEvent, idempotency_key: IdempotencyKey) -> bool:
    """Note the key; False where the same event was taken with it. A key is forgotten after a day."""
    same_key = ReceivedKey.objects.filter(pack_identity=event.pack.identity, key=idempotency_key.key)
    same_key.filter(received_at__lte=event.received_at - IDEMPOTENCY_KEY_TTL).delete()
    defaults = {"digest": idempotency_key.digest, "received_at": event.received_at}
    received_key, created = ReceivedKey.objects.get_or_create(
        pack_identity=event.pack.identity, key=idempotency_key.key, defaults=defaults
    )
    if received_key.digest != idempotency_key.digest:
        raise IdempotencyKeyReusedError(idempotency_key.key)
    return created


def complete_action(action_id: str, pack: Pack, event: IncomingEvent, attempt: int = 1) -> ResultStatus | None:
    """Take a result: finish its action, continue its execution, start the flows that listen to it – or nothing at all.

    `attempt` says which take of the action it is the result of. None where there is no such action. When this returns,
    all that the result causes is committed. What the result repeats of the action's secrets is masked for everybody.
    """
    action = action_queue.find_action(action_id)
    if action is None:
        return None
    request_ids.resume(action.request_id)
    fields = {"pack": pack.identity, "event": event.name, "action": action_id, "execution": action.correlation_id}
    with tracing.start_span("result", action.traceparent, request_id=action.request_id, **fields):
        return _complete_action(action, pack, redact_result(action, event), attempt)


def _complete_action(action: Action, pack: Pack, event: IncomingEvent, attempt: int) -> ResultStatus | None:
    matches = match_flows(event) if action.state == ActionState.PENDING else []

    def write(isolated: bool) -> Completion | None:
        execution, actions = _lock_execution_and_actions(action.correlation_id)
        current = next((candidate for candidate in actions if candidate.id == action.id), None)
        if execution is None or current is None:
            return None
        with nullcontext() if isolated else single_statement():
            status = action_queue.record_result(current, pack, attempt, event.to_json(), event.received_at)
            completion = Completion(execution, current, status)
            if status is ResultStatus.ACCEPTED:
                completion.matches = _apply_result(execution, current, actions, event, matches, isolated=isolated)
        return completion

    completion = commit_isolating_failures(write)
    if completion is None:
        return None
    _count_completion(completion)
    if completion.matches:
        event_history.prune_events(event)
    elif completion.status is ResultStatus.ACCEPTED:
        event_history.record_sample(event, completion.execution.id)
    fields = {"action": action.id, "execution": completion.execution.id, "event_name": event.name}
    log.info("result_received", pack=pack.identity, **fields, outcome=completion.status.value)
    return completion.status


def expire_lease(action_id: str) -> ResultStatus | None:
    """End the attempt of an action whose lease has ended, as a FATAL result would; None where it has none any more."""
    action = Action.objects.filter(id=action_id).first()
    if action is None:
        return None
    request_ids.resume(action.request_id)
    with tracing.start_span("lease ended", action.traceparent, action=action_id, execution=action.correlation_id):
        return _expire_lease(action)


def _expire_lease(action: Action) -> ResultStatus | None:
    event = _build_lease_expired_event(action)
    matches = match_flows(event) if action.attempt > action.retries else []
    with transaction.atomic():
        execution = _lock_execution(action.correlation_id)
        current = action_queue.lock_action(action.id)
        if execution is None or current is None or not action_queue.is_lease_expired(current, event.received_at):
            return None
        completion = Completion(
            execution, current, action_queue.expire_lease(current, event.to_json(), event.received_at)
        )
        if completion.status is ResultStatus.ACCEPTED:
            actions = [
                current if other.id == action.id else other
                for other in action_queue.list_execution_actions(execution.id)
            ]
            completion.matches = _apply_result(execution, current, actions, event, matches, isolated=True)
    _count_completion(completion)
    if completion.matches:
        event_history.prune_events(event)
    fields = {"action": action.id, "execution": completion.execution.id, "attempt": action.attempt}
    log.warning("lease_ended", pack=action.holder, **fields, outcome=completion.status.value)
    return completion.status


def _lock_execution(correlation_id: str) -> Execution | None:
    return EXECUTION_TABLE.select_first("id = %s", correlation_id, lock=True)


def _lock_execution_and_actions(correlation_id: str) -> tuple[Execution | None, list[Action]]:
    """The execution, its row locked, and its actions as they are from then on."""
    execution_query = EXECUTION_TABLE.build_select("id = %s", correlation_id, lock=True)
    executions, actions = select_pipelined(
        EXECUTION_TABLE,
        execution_query,
        action_queue.RESULT_COLUMNS,
        action_queue.execution_actions_query(correlation_id),
    )
    return next(iter(executions), None), actions


def _build_lease_expired_event(action: Action) -> IncomingEvent:
    """The event that stands for a result that did not come."""
    now = timezone.now()
    holder = Pack.objects.filter(identity=action.holder).first()
    source = EventSource(action.holder, action.pack_name, holder.labels if holder else action.pack_labels)
    reason = unreadable_reason(action)
    payload = {
        "reason": f"its secrets can't be read: {reason}" if reason else "lease expired",
        "command": action.name,
        "packId": action.holder,
        "attempt": action.attempt,
    }
    return IncomingEvent(source, action_queue.FATAL_EVENT, payload, now, now)


def _apply_result(
    execution: Execution,
    action: Action,
    actions: list[Action],
    event: IncomingEvent,
    matches: list[FlowMatch],
    *,
    isolated: bool,
) -> list[FlowMatch]:
    """What a counted result causes, in its own execution, whose actions are these, and in others; the execution is
    locked. Gives what listened to it."""
    event_id = new_id()
    own_match = _advance_execution(execution, action, actions, event, isolated=isolated)
    for match in matches:
        _start_execution(match, event, event_id, isolated=isolated)
    all_matches = [own_match, *matches] if own_match.outcomes else matches
    _record_event(event_id, event, all_matches, execution.id)
    return all_matches


def _start_execution(
    match: FlowMatch, event: IncomingEvent, event_id: str, replay_of: str = "", *, isolated: bool
) -> None:
    """Begin an execution with all trigger steps that fired; if this flow is `apart`, what fails is undone for it
    alone."""
    if not match.action_specs:
        return
    match.correlation_id = new_id()
    try:
        with savepoint_if(isolated):
            _create_execution(match, event, event_id, replay_of)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if not isolated:
            raise
        match.mark_failed(error)


def savepoint_if(isolated: bool) -> AbstractContextManager[Any]:
    """What is written in it is undone alone when it fails, if it is to be `apart`."""
    return transaction.atomic() if isolated else nullcontext()


def _create_execution(match: FlowMatch, event: IncomingEvent, event_id: str, replay_of: str) -> None:
    execution_ref = ExecutionRef(match.correlation_id, match.flow_name, match.version_id)
    actions = action_queue.enqueue(execution_ref, match.action_specs, event.received_at)
    errors = [_build_error_entry(outcome, event) for outcome in match.outcomes if outcome.kind is OutcomeKind.ERROR]
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
    EXECUTION_TABLE.insert([execution])


def _advance_execution(
    execution: Execution, action: Action, actions: list[Action], event: IncomingEvent, *, isolated: bool
) -> FlowMatch:
    """Judge the steps of a running execution that this finish may fire, queue what fired, and settle its state."""
    match = FlowMatch(execution.flow_name, execution.version_id, correlation_id=execution.id)
    try:
        match.outcomes = evaluate_dependents(
            load_definition(execution.version_id), actions, action, event, evaluate_with_datastore
        )
        with savepoint_if(isolated):
            execution_ref = ExecutionRef(execution.id, execution.flow_name, execution.version_id)
            new_actions = action_queue.enqueue(execution_ref, match.action_specs, event.received_at)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if not isolated:
            raise
        match.mark_failed(error)
        new_actions = []
    if new_actions:
        execution.latest_action_id = max(execution.latest_action_id, new_actions[-1].id)
    _update_execution(execution, [*actions, *new_actions], match, event)
    return match


def _update_execution(execution: Execution, actions: Sequence[Action], match: FlowMatch, event: IncomingEvent) -> None:
    """Bring the execution's own row in line with its actions."""
    errors = [_build_error_entry(outcome, event) for outcome in match.outcomes if outcome.kind is OutcomeKind.ERROR]
    execution.errors = execution.errors + errors
    if all(action.is_finished for action in actions):
        execution.state = _compute_final_state(execution, actions)
        execution.ended_at = event.received_at
    execution.changed_at = event.received_at
    changed_fields = ["errors"] if errors else []
    EXECUTION_TABLE.update(execution, *changed_fields, "latest_action_id", "state", "ended_at", "changed_at")


def _compute_final_state(execution: Execution, actions: Sequence[Action]) -> ExecutionState:
    """Failed if a step could not be judged, or a FATAL result had no step that fired on it."""
    handled_ids = {action.triggered_by for action in actions}
    has_unhandled_failure = any(
        action.state == ActionState.FATAL and action.id not in handled_ids for action in actions
    )
    return ExecutionState.FAILED if execution.errors or has_unhandled_failure else ExecutionState.SUCCEEDED


def _build_error_entry(outcome: StepOutcome, event: IncomingEvent) -> dict[str, Any]:
    """An error as it stands in its execution."""
    return outcome.to_json() | {
        "event": event.name,
        "packName": event.pack.name,
        "time": format_rfc3339(event.received_at),
    }
