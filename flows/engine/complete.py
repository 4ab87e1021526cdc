"""Results of actions: finish an action, continue its execution, and start the flows that subscribe to the result."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog
from django.db import transaction
from django.utils import timezone

from flows.engine import event_history
from flows.engine.execution_locks import take_turn
from flows.engine.handle_event import (
    EXECUTION_TABLE,
    build_error_entries,
    commit_isolating_failures,
    count_matches,
    start_execution,
)
from flows.engine.matching import FlowMatch, dependent_candidates, load_definition, match_flows, read_datastore
from flows.engine.step import EventSource, IncomingEvent, evaluate_step
from flows.models import Execution, ExecutionState
from flyte_site.core.ids import new_id
from flyte_site.core.observability import metrics, request_ids, tracing
from flyte_site.db.table_sql import DirectWrites, Writes, select_pipelined
from packs.models import FINISHED_STATES, Action, ActionState, Pack
from packs.queue import action_queue, leases
from packs.queue.action_queue import ExecutionRef
from packs.queue.action_secrets import redact_action_secrets, unreadable_reason
from packs.queue.results import FATAL_EVENT, ResultStatus, record_result

log = structlog.get_logger("flows.engine")


@dataclass
class Completion:
    """Effect of a result: the execution and the action after it, and the flows that matched the result."""

    execution: Execution
    action: Action
    status: ResultStatus
    matches: list[FlowMatch] = field(default_factory=list)


def complete_action(action_id: str, pack: Pack, event: IncomingEvent, attempt: int = 1) -> ResultStatus | None:
    """Finish an action with a result, continue its execution, and start the flows that subscribe to it, or do nothing.

    Return None if the action does not exist; otherwise see `complete_found_action`.
    """
    action = action_queue.find_action(action_id)
    return None if action is None else complete_found_action(action, pack, event, attempt)


def complete_found_action(action: Action, pack: Pack, event: IncomingEvent, attempt: int) -> ResultStatus | None:
    """Finish an action that was read without a lock; it is read again after the lock.

    `attempt` is the number of the take that the result belongs to. Return None if the action was deleted. On return all
    effects are committed. Secrets of the action that the result repeats are masked before anything is stored.
    """
    request_ids.resume(action.request_id)
    fields = {"pack": pack.identity, "event": event.name, "action": action.id, "execution": action.correlation_id}
    with tracing.start_span("result", action.traceparent, request_id=action.request_id, **fields):
        return _complete_action(action, pack, redact_result(action, event), attempt)


def redact_result(action: Action, event: IncomingEvent) -> IncomingEvent:
    """Mask the action's secrets in its result; if they can't be read, mask the whole payload."""
    if action.secrets is None:
        return event
    return replace(event, payload=redact_action_secrets(action, event.payload))


def _complete_action(action: Action, pack: Pack, event: IncomingEvent, attempt: int) -> ResultStatus | None:
    matches = match_flows(event) if action.state == ActionState.PENDING else []

    def write(writes: Writes) -> Completion | None:
        execution, actions = _lock_execution_and_actions(action.correlation_id)
        current = next((candidate for candidate in actions if candidate.id == action.id), None)
        if execution is None or current is None:
            return None
        result, now = event.to_json(), event.received_at
        completion = Completion(execution, current, record_result(writes, current, pack, attempt, result, now))
        if completion.status is ResultStatus.ACCEPTED:
            _apply_result(writes, completion, actions, event, matches)
        return completion

    with take_turn(action.correlation_id):
        completion = commit_isolating_failures(write)
    if completion is None:
        return None
    if completion.matches:
        event_history.prune_events(event)
    elif completion.status is ResultStatus.ACCEPTED:
        event_history.record_sample(event, completion.execution.id)
    _count_completion(completion)
    fields = {"action": action.id, "execution": completion.execution.id, "event_name": event.name}
    log.info("result_received", pack=pack.identity, **fields, outcome=completion.status.value)
    return completion.status


def expire_lease(action_id: str) -> ResultStatus | None:
    """End the attempt of an action whose lease has expired, as a FATAL result does.

    Return None if the action does not exist, its lease has not expired, or another transaction has locked its execution
    or it.
    """
    action = Action.objects.filter(id=action_id).first()
    if action is None:
        return None
    request_ids.resume(action.request_id)
    with tracing.start_span("lease ended", action.traceparent, action=action_id, execution=action.correlation_id):
        return _expire_lease(action)


def _expire_lease(action: Action) -> ResultStatus | None:
    event = _build_lease_expired_event(action)
    matches = match_flows(event) if action.attempt > action.retries else []
    writes = DirectWrites()
    with transaction.atomic():
        execution = EXECUTION_TABLE.select_first("id = %s", action.correlation_id, lock=True, skip_locked=True)
        current = action_queue.lock_action(action.id, skip_locked=True) if execution else None
        if execution is None or current is None or not leases.is_lease_expired(current):
            return None
        status = leases.expire_lease(writes, current, event.to_json(), event.received_at)
        completion = Completion(execution, current, status)
        if status is ResultStatus.ACCEPTED:
            others = action_queue.list_execution_actions(execution.id)
            actions = [current if other.id == action.id else other for other in others]
            _apply_result(writes, completion, actions, event, matches)
    _count_completion(completion)
    if completion.matches:
        event_history.prune_events(event)
    fields = {"action": action.id, "execution": completion.execution.id, "attempt": action.attempt}
    log.warning("lease_ended", pack=action.claimed_by, **fields, outcome=completion.status.value)
    return completion.status


def _lock_execution_and_actions(correlation_id: str) -> tuple[Execution | None, list[Action]]:
    """Lock the execution's row, and read its actions after that."""
    executions, actions = select_pipelined(
        EXECUTION_TABLE.query("id = %s", correlation_id, lock=True),
        action_queue.RESULT_COLUMNS.query(action_queue.ACTIONS_OF_EXECUTION, correlation_id),
    )
    return next(iter(executions), None), actions


def _build_lease_expired_event(action: Action) -> IncomingEvent:
    """Build the FATAL event that replaces the missing result."""
    now = timezone.now()
    claimer = Pack.objects.filter(identity=action.claimed_by).first()
    source = EventSource(action.claimed_by, action.pack_name, claimer.labels if claimer else action.pack_labels)
    reason = unreadable_reason(action)
    payload = {
        "reason": f"the action's secrets can't be read: {reason}" if reason else "lease expired",
        "command": action.name,
        "packId": action.claimed_by,
        "attempt": action.attempt,
    }
    return IncomingEvent(source, FATAL_EVENT, payload, now, now)


def _count_completion(completion: Completion) -> None:
    """Count a result and its effects in the metrics."""
    metrics.count_result(completion.action.pack_name, completion.status.value)
    count_matches(completion.matches, completion.execution.id)
    if completion.status is ResultStatus.ACCEPTED and completion.execution.ended_at:
        metrics.count_execution(completion.execution.flow_name, completion.execution.state)


def _apply_result(
    writes: Writes, completion: Completion, actions: list[Action], event: IncomingEvent, matches: list[FlowMatch]
) -> None:
    """Continue the execution of an accepted result, whose row is locked, and start the flows that match the result."""
    execution, event_id = completion.execution, new_id()
    own_match = _advance_execution(writes, completion, actions, event)
    for match in matches:
        start_execution(writes, match, event, event_id)
    completion.matches = [own_match, *matches] if own_match.outcomes else matches
    if completion.matches:
        outcomes = [match.to_json() for match in completion.matches]
        event_history.record_event(writes, event_id, event, outcomes, execution.id)


def _advance_execution(
    writes: Writes, completion: Completion, actions: list[Action], event: IncomingEvent
) -> FlowMatch:
    """Evaluate the steps that can fire after this result, queue those that fire, and update the execution."""
    execution = completion.execution
    match = FlowMatch(execution.flow_name, execution.version_id, correlation_id=execution.id)
    new_actions: list[Action] = []
    with writes.isolate(match.mark_failed):
        definition = load_definition(execution.version_id)
        candidates = dependent_candidates(definition, actions, completion.action, event)
        match.outcomes = [evaluate_step(candidate, read_datastore) for candidate in candidates]
        execution_ref = ExecutionRef(execution.id, execution.flow_name, execution.version_id)
        new_actions = action_queue.enqueue(writes, execution_ref, match.action_specs, event.received_at)
    if new_actions:
        execution.latest_action_id = max(execution.latest_action_id, new_actions[-1].id)
    _update_execution(writes, execution, [*actions, *new_actions], match, event)
    return match


def _update_execution(
    writes: Writes, execution: Execution, actions: Sequence[Action], match: FlowMatch, event: IncomingEvent
) -> None:
    """Derive the execution's state and errors from its actions."""
    errors = build_error_entries(match, event)
    execution.errors = execution.errors + errors
    if all(action.state in FINISHED_STATES for action in actions):
        execution.state = _compute_final_state(execution, actions)
        execution.ended_at = event.received_at
    execution.changed_at = event.received_at
    changed_fields = ["errors"] if errors else []
    EXECUTION_TABLE.update(writes, execution, *changed_fields, "latest_action_id", "state", "ended_at", "changed_at")


def _compute_final_state(execution: Execution, actions: Sequence[Action]) -> ExecutionState:
    """Return FAILED if a step could not be evaluated, or if no step fired on a FATAL result."""
    handled_ids = {action.triggered_by for action in actions}
    has_unhandled_failure = any(
        action.state == ActionState.FATAL and action.id not in handled_ids for action in actions
    )
    return ExecutionState.FAILED if execution.errors or has_unhandled_failure else ExecutionState.SUCCEEDED
