"""What people do with executions: cancel one, retry a step, replay an event."""

import structlog
from django.db import transaction
from django.utils import timezone

from flows import engine
from flows.attempts import try_triggers
from flows.judging import event_of
from flows.models import Execution, ExecutionState, Flow
from flows.steps import Event, PackSeen
from flyte_site import meters
from packs import queue
from packs.models import Action, State

log = structlog.get_logger(__name__)


class UnknownError(Exception):
    """There is no such execution, or no such step in it; the message says which."""


class NotPossibleError(Exception):
    """What was asked for can't be done with this execution as it is; the message says why."""


_ENDED = {
    ExecutionState.SUCCEEDED: "the execution has succeeded already",
    ExecutionState.FAILED: "the execution has failed already",
    ExecutionState.CANCELLED: "the execution was cancelled already",
}
_NOT_FATAL = {
    State.NEW: "the step waits for a pack already",
    State.PENDING: "a pack has the step in hand",
    State.SUCCESS: "the step succeeded, and only one that ended FATAL can be retried",
}


def cancel(correlation_id: str) -> None:
    """Stop an execution: what waits is taken out of the queue, results of what is under way come too late.

    Raises `UnknownError`, and `NotPossibleError` where it has ended.
    """
    with transaction.atomic():
        execution = _locked(correlation_id)
        if execution.state != ExecutionState.RUNNING:
            raise NotPossibleError(_ENDED[ExecutionState(execution.state)])
        actions = list(Action.objects.select_for_update().filter(correlation_id=correlation_id).order_by("id"))
        now = timezone.now()  # not before the locks: an action may be taken while they are waited for
        for action in actions:
            queue.cancel(action, now)
        execution.state, execution.ended_at, execution.changed_at = ExecutionState.CANCELLED, now, now
        execution.save(update_fields=["state", "ended_at", "changed_at"])
    meters.count_execution(execution.flow_name, execution.state)
    log.info("execution_cancelled", execution=correlation_id)


def retry(correlation_id: str, step_id: str) -> None:
    """Let the action of a step that ended FATAL be taken again, with the same input.

    Followers that fired already don't fire again. Raises `UnknownError`, and `NotPossibleError` where the action did
    not end FATAL.
    """
    with transaction.atomic():
        execution = _locked(correlation_id)
        found = Action.objects.filter(correlation_id=correlation_id, step_id=step_id).values_list("id", flat=True)
        action = queue.locked(found[0]) if found else None
        if action is None:
            raise _without(execution, step_id)
        if execution.state == ExecutionState.CANCELLED:
            raise NotPossibleError("the execution was cancelled, so that none of its steps can be retried")
        if action.state != State.FATAL:
            raise NotPossibleError(_NOT_FATAL[State(action.state)])
        now = timezone.now()
        queue.requeue(action, action.result, now, queue.AT_ONCE)
        execution.state, execution.ended_at, execution.changed_at = ExecutionState.RUNNING, None, now
        execution.save(update_fields=["state", "ended_at", "changed_at"])
    log.info("step_retried", execution=correlation_id, step=step_id)


def _without(execution: Execution, step_id: str) -> Exception:
    """What to say of a step of which the execution has no action."""
    steps = execution.version.document.get("steps", [])
    if step_id in (step.get("id", f"step-{place}") for place, step in enumerate(steps, start=1)):
        return NotPossibleError("the step was not reached, so that there is nothing to retry")
    return UnknownError(f"step {step_id!r} in execution {execution.id!r}")


def replay(correlation_id: str, *, every_flow: bool = False) -> list[str]:
    """Take the event that began an execution again: new executions on what the flows are now, linked to the old.

    Only the execution's own flow hears of it, or every flow that listens. The ids of the new executions. Raises
    `UnknownError`, and `NotPossibleError` where nothing of it tells the event any more, or no flow listens to it.
    """
    execution = Execution.objects.filter(id=correlation_id).first()
    if execution is None:
        raise UnknownError(f"execution {correlation_id!r}")
    event = _first_event(execution)
    flows = Flow.objects.all() if every_flow else Flow.objects.filter(name=execution.flow_name)
    attempts = try_triggers(event, flows)
    if not attempts:
        whose = "no flow that is enabled" if every_flow else "its flow is gone or disabled, or no longer"
        raise NotPossibleError(f"{whose} listens to the event that began the execution")
    with transaction.atomic():
        engine.start_flows(event, attempts, replay_of=correlation_id)
    engine.count_flows(attempts)
    log.info("event_replayed", execution=correlation_id, flows=len(attempts))
    return [attempt.correlation_id for attempt in attempts if attempt.correlation_id]


def _locked(correlation_id: str) -> Execution:
    """The execution, its row locked till the transaction ends. Raises `UnknownError`."""
    execution = Execution.objects.select_for_update().filter(id=correlation_id).first()
    if execution is None:
        raise UnknownError(f"execution {correlation_id!r}")
    return execution


def _first_event(execution: Execution) -> Event:
    """The event that began the execution, as if it came now."""
    first = Action.objects.filter(correlation_id=execution.id, triggered_by="").order_by("id").first()
    if first is None:
        raise NotPossibleError("none of the execution's actions is kept, so that its event is not known")
    told = event_of(first.trigger)
    pack = PackSeen(told.pack.identity, told.pack.name, told.pack.labels)
    return Event(pack, told.name, told.payload, told.created_at, timezone.now())
