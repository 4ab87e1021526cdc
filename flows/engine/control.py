"""What people do with executions: cancel one, retry a step, replay an event."""

from dataclasses import replace

import structlog
from django.db import transaction
from django.utils import timezone

from flows.engine.handle_event import count_matches, start_executions
from flows.engine.matching import match_flows
from flows.engine.step import IncomingEvent
from flows.models import Execution, ExecutionState, Flow
from flyte_site.core import metrics
from flyte_site.db.writes import DirectWrites
from packs.models import Action, ActionState
from packs.queue import action_queue

log = structlog.get_logger(__name__)


class ExecutionNotFoundError(Exception):
    """There is no such execution, or no such step in it; the message says which."""


class InvalidExecutionStateError(Exception):
    """What was asked for can't be done with this execution as it is; the message says why."""


_ENDED_MESSAGES = {
    ExecutionState.SUCCEEDED: "the execution has succeeded already",
    ExecutionState.FAILED: "the execution has failed already",
    ExecutionState.CANCELLED: "the execution was cancelled already",
}
_NOT_RETRYABLE_MESSAGES = {
    ActionState.NEW: "the step waits for a pack already",
    ActionState.PENDING: "a pack has the step in hand",
    ActionState.SUCCESS: "the step succeeded, and only one that ended FATAL can be retried",
}


def cancel_execution(correlation_id: str) -> None:
    """Stop an execution: what waits is taken out of the queue, results of what is under way come too late.

    Raises `UnknownError`, and `NotPossibleError` where it has ended.
    """
    with transaction.atomic():
        execution = _lock_execution(correlation_id)
        if execution.state != ExecutionState.RUNNING:
            raise InvalidExecutionStateError(_ENDED_MESSAGES[ExecutionState(execution.state)])
        actions = list(Action.objects.select_for_update().filter(correlation_id=correlation_id).order_by("id"))
        now = timezone.now()  # not before the locks: an action may be taken while they are waited for
        writes = DirectWrites()
        for action in actions:
            action_queue.cancel_action(writes, action, now)
        execution.state, execution.ended_at, execution.changed_at = ExecutionState.CANCELLED, now, now
        execution.save(update_fields=["state", "ended_at", "changed_at"])
    metrics.count_execution(execution.flow_name, execution.state)
    log.info("execution_cancelled", execution=correlation_id)


def retry_step(correlation_id: str, step_id: str) -> None:
    """Let the action of a step that ended FATAL be taken again, with the same input.

    Followers that fired already don't fire again. Raises `UnknownError`, and `NotPossibleError` where the action did
    not end FATAL.
    """
    with transaction.atomic():
        execution = _lock_execution(correlation_id)
        action_ids = Action.objects.filter(correlation_id=correlation_id, step_id=step_id).values_list("id", flat=True)
        action = action_queue.lock_action(action_ids[0]) if action_ids else None
        if action is None:
            raise _build_missing_action_error(execution, step_id)
        if execution.state == ExecutionState.CANCELLED:
            raise InvalidExecutionStateError("the execution was cancelled, so that none of its steps can be retried")
        if action.state != ActionState.FATAL:
            raise InvalidExecutionStateError(_NOT_RETRYABLE_MESSAGES[ActionState(action.state)])
        now = timezone.now()
        action_queue.requeue(DirectWrites(), action, action.result, now, action_queue.NO_DELAY)
        execution.state, execution.ended_at, execution.changed_at = ExecutionState.RUNNING, None, now
        execution.save(update_fields=["state", "ended_at", "changed_at"])
    log.info("step_retried", execution=correlation_id, step=step_id)


def _build_missing_action_error(execution: Execution, step_id: str) -> Exception:
    """What to say of a step of which the execution has no action."""
    steps = execution.version.document.get("steps", [])
    if step_id in (step.get("id", f"step-{number}") for number, step in enumerate(steps, start=1)):
        return InvalidExecutionStateError("the step was not reached, so that there is nothing to retry")
    return ExecutionNotFoundError(f"step {step_id!r} in execution {execution.id!r}")


def replay_event(correlation_id: str, *, all_flows: bool = False) -> list[str]:
    """Take the event that began an execution again: new executions on what the flows are now, linked to the old.

    Only the execution's own flow hears of it, or every flow that listens. The ids of the new executions. Raises
    `UnknownError`, and `NotPossibleError` where nothing of it tells the event any more, or no flow listens to it.
    """
    execution = Execution.objects.filter(id=correlation_id).first()
    if execution is None:
        raise ExecutionNotFoundError(f"execution {correlation_id!r}")
    event = _load_triggering_event(execution)
    flows = Flow.objects.all() if all_flows else Flow.objects.filter(name=execution.flow_name)
    matches = match_flows(event, flows)
    if not matches:
        problem = "no flow that is enabled" if all_flows else "its flow is gone or disabled, or no longer"
        raise InvalidExecutionStateError(f"{problem} listens to the event that began the execution")
    with transaction.atomic():
        start_executions(DirectWrites(), event, matches, replay_of=correlation_id)
    count_matches(matches)
    log.info("event_replayed", execution=correlation_id, flows=len(matches))
    return [match.correlation_id for match in matches if match.correlation_id]


def _lock_execution(correlation_id: str) -> Execution:
    """The execution, its row locked till the transaction ends. Raises `UnknownError`."""
    execution = Execution.objects.select_for_update().filter(id=correlation_id).first()
    if execution is None:
        raise ExecutionNotFoundError(f"execution {correlation_id!r}")
    return execution


def _load_triggering_event(execution: Execution) -> IncomingEvent:
    """The event that began the execution, as if it came now."""
    first_action = Action.objects.filter(correlation_id=execution.id, triggered_by="").order_by("id").first()
    if first_action is None:
        raise InvalidExecutionStateError("none of the execution's actions is kept, so that its event is not known")
    return replace(IncomingEvent.from_json(first_action.trigger), received_at=timezone.now())
