"""Control of executions by people: cancel an execution, retry a step, replay an event."""

from dataclasses import replace

import structlog
from django.db import transaction
from django.utils import timezone

from flows.definition import read_outline
from flows.engine.handle_event import count_matches, start_executions
from flows.engine.matching import find_subscribed_flows, match_flows
from flows.engine.step import IncomingEvent
from flows.models import Execution, ExecutionState, Flow
from flyte_site.core.observability import metrics
from flyte_site.db.table_sql import DirectWrites
from packs.models import Action, ActionState
from packs.queue import action_queue
from packs.queue.retries import NO_DELAY, requeue

log = structlog.get_logger(__name__)


class ExecutionNotFoundError(Exception):
    """The execution, or the step in it, does not exist; the message is a sentence that names it."""


class InvalidExecutionStateError(Exception):
    """The state of the execution does not allow the operation; the message gives the reason."""


_ENDED_MESSAGES = {
    ExecutionState.SUCCEEDED: "the execution has already succeeded",
    ExecutionState.FAILED: "the execution has already failed",
    ExecutionState.CANCELLED: "the execution was already cancelled",
}
_NOT_RETRYABLE_MESSAGES = {
    ActionState.NEW: "the step is already queued",
    ActionState.PENDING: "the step is running",
    ActionState.SUCCESS: "the step succeeded; only a failed step can be retried",
}


def cancel_execution(correlation_id: str) -> None:
    """Cancel an execution: cancel its queued and running actions, whose results are then late.

    Raise `ExecutionNotFoundError`, or `InvalidExecutionStateError` if it has ended.
    """
    with transaction.atomic():
        execution = _lock_execution(correlation_id)
        if execution.state != ExecutionState.RUNNING:
            raise InvalidExecutionStateError(_ENDED_MESSAGES[ExecutionState(execution.state)])
        actions = list(Action.objects.select_for_update().filter(correlation_id=correlation_id).order_by("id"))
        now = timezone.now()  # after the locks: an action can be taken while this waits for them
        writes = DirectWrites()
        for action in actions:
            action_queue.cancel_action(writes, action, now)
        execution.state, execution.ended_at, execution.changed_at = ExecutionState.CANCELLED, now, now
        execution.save(update_fields=["state", "ended_at", "changed_at"])
    metrics.count_execution(execution.flow_name, execution.state)
    log.info("execution_cancelled", execution=correlation_id)


def retry_step(correlation_id: str, step_id: str) -> None:
    """Queue the action of a step that ended with FATAL again, with the same input.

    Dependent steps that have fired do not fire again. Raise `ExecutionNotFoundError`, or `InvalidExecutionStateError`
    if the action did not end with FATAL.
    """
    with transaction.atomic():
        execution = _lock_execution(correlation_id)
        action_ids = Action.objects.filter(correlation_id=correlation_id, step_id=step_id).values_list("id", flat=True)
        action = action_queue.lock_action(action_ids[0]) if action_ids else None
        if action is None:
            raise _build_missing_action_error(execution, step_id)
        if execution.state == ExecutionState.CANCELLED:
            raise InvalidExecutionStateError("the execution was cancelled; its steps can't be retried")
        if action.state != ActionState.FATAL:
            raise InvalidExecutionStateError(_NOT_RETRYABLE_MESSAGES[ActionState(action.state)])
        now = timezone.now()
        requeue(DirectWrites(), action, action.result, now, NO_DELAY)
        execution.state, execution.ended_at, execution.changed_at = ExecutionState.RUNNING, None, now
        execution.save(update_fields=["state", "ended_at", "changed_at"])
    log.info("step_retried", execution=correlation_id, step=step_id)


def _build_missing_action_error(execution: Execution, step_id: str) -> Exception:
    """Build the error for a step that has no action in the execution."""
    if read_outline(execution.version.document).get_step(step_id):
        return InvalidExecutionStateError("the step was not reached; there is nothing to retry")
    return ExecutionNotFoundError(f"step {step_id!r} not found in execution {execution.id!r}")


def replay_event(correlation_id: str, *, all_flows: bool = False) -> list[str]:
    """Handle the event that started an execution again: start executions of the flows' current versions, linked to it.

    Match only the execution's own flow, or all flows. Return the ids of the new executions. Raise
    `ExecutionNotFoundError`, or `InvalidExecutionStateError` if the event is no longer stored or no flow matches it.
    """
    execution = Execution.objects.filter(id=correlation_id).first()
    if execution is None:
        raise ExecutionNotFoundError(f"execution {correlation_id!r} not found")
    event = _load_triggering_event(execution)
    flows = Flow.objects.all() if all_flows else Flow.objects.filter(name=execution.flow_name)
    matches = match_flows(event, find_subscribed_flows(event, flows))
    if not matches:
        problem = "no enabled flow" if all_flows else "the flow was deleted, is disabled, or no longer"
        raise InvalidExecutionStateError(f"{problem} subscribes to the event that started the execution")
    with transaction.atomic():
        start_executions(DirectWrites(), event, matches, replay_of=correlation_id)
    count_matches(matches)
    log.info("event_replayed", execution=correlation_id, flows=len(matches))
    return [match.correlation_id for match in matches if match.correlation_id]


def _lock_execution(correlation_id: str) -> Execution:
    """Lock the execution's row until the transaction ends. Raise `ExecutionNotFoundError`."""
    execution = Execution.objects.select_for_update().filter(id=correlation_id).first()
    if execution is None:
        raise ExecutionNotFoundError(f"execution {correlation_id!r} not found")
    return execution


def _load_triggering_event(execution: Execution) -> IncomingEvent:
    """Load the event that started the execution, with the current time as the time of receipt."""
    first_action = Action.objects.filter(correlation_id=execution.id, triggered_by="").order_by("id").first()
    if first_action is None:
        raise InvalidExecutionStateError("the event that started the execution is no longer stored")
    return replace(IncomingEvent.from_json(first_action.trigger), received_at=timezone.now())
