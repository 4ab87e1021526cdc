"""What people do with executions: cancel one, retry a step, replay an event."""

import structlog
from django.db import transaction
from django.utils import timezone

from flows import engine
from flows.judging import event_of
from flows.models import Execution, ExecutionState, Flow
from flows.steps import Event, PackSeen
from flyte_site import meters
from packs import queue
from packs.models import Action, State

log = structlog.get_logger(__name__)


class NotPossibleError(Exception):
    """What was asked for can't be done with this execution as it is; the message says why."""


def cancel(correlation_id: str) -> bool:
    """Stop an execution: what waits is taken out of the queue, results of what is under way come too late.

    False where there is no such execution. Raises `NotPossibleError` where it has ended.
    """
    with transaction.atomic():
        execution = _locked(correlation_id)
        if execution is None:
            return False
        if execution.state != ExecutionState.RUNNING:
            raise NotPossibleError(f"the execution has {execution.state}")
        actions = list(Action.objects.select_for_update().filter(correlation_id=correlation_id).order_by("id"))
        now = timezone.now()  # not before the locks: an action may be taken while they are waited for
        for action in actions:
            queue.cancel(action, now)
        execution.state, execution.ended_at, execution.changed_at = ExecutionState.CANCELLED, now, now
        execution.save(update_fields=["state", "ended_at", "changed_at"])
    meters.count_execution(execution.flow_name, execution.state)
    log.info("execution_cancelled", execution=correlation_id)
    return True


def retry(correlation_id: str, step_id: str) -> bool:
    """Let the action of a step that ended FATAL be taken again, with the same input.

    Followers that fired already don't fire again. False where there is no such execution or step in it. Raises
    `NotPossibleError` where the action did not end FATAL.
    """
    with transaction.atomic():
        execution = _locked(correlation_id)
        found = Action.objects.filter(correlation_id=correlation_id, step_id=step_id).values_list("id", flat=True)
        action = queue.locked(found[0]) if execution and found else None
        if execution is None or action is None:
            return False
        if action.state != State.FATAL or execution.state == ExecutionState.CANCELLED:
            raise NotPossibleError(f"the step's action is {action.state} in an execution that is {execution.state}")
        now = timezone.now()
        queue.requeue(action, action.result, now, queue.AT_ONCE)
        execution.state, execution.ended_at, execution.changed_at = ExecutionState.RUNNING, None, now
        execution.save(update_fields=["state", "ended_at", "changed_at"])
    log.info("step_retried", execution=correlation_id, step=step_id)
    return True


def replay(correlation_id: str, *, every_flow: bool = False) -> list[str] | None:
    """Take the event that began an execution again: new executions on what the flows are now, linked to the old.

    Only the execution's own flow hears of it, or every flow that listens. The ids of the new executions; None where
    there is no such execution. Raises `NotPossibleError` where nothing of it tells the event any more.
    """
    execution = Execution.objects.filter(id=correlation_id).first()
    if execution is None:
        return None
    event = _first_event(execution)
    flows = Flow.objects.all() if every_flow else Flow.objects.filter(name=execution.flow_name)
    attempts = engine.try_triggers(event, flows)
    if not attempts:
        raise NotPossibleError("no enabled flow listens to its event any more")
    with transaction.atomic():
        engine.start_flows(event, attempts, replay_of=correlation_id)
    engine.count_flows(attempts)
    log.info("event_replayed", execution=correlation_id, flows=len(attempts))
    return [attempt.correlation_id for attempt in attempts if attempt.correlation_id]


def _locked(correlation_id: str) -> Execution | None:
    return Execution.objects.select_for_update().filter(id=correlation_id).first()


def _first_event(execution: Execution) -> Event:
    """The event that began the execution, as if it came now."""
    first = Action.objects.filter(correlation_id=execution.id, triggered_by="").order_by("id").first()
    if first is None:
        raise NotPossibleError("none of its actions is kept")
    told = event_of(first.trigger)
    pack = PackSeen(told.pack.identity, told.pack.name, told.pack.labels)
    return Event(pack, told.name, told.payload, told.created_at, timezone.now())
