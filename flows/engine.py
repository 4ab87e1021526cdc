"""What drives flows: an event starts executions, a result continues one and may start others.

Steps are judged by `flows.steps`, actions are written by `packs.queue`; this module says when, and in which
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

from flows import kept
from flows.attempts import Attempt, compiled, judge, try_triggers
from flows.judging import judge_followers
from flows.models import Execution, ExecutionState, ReceivedKey
from flows.secrecy import without_echo
from flows.steps import Event, Kind, Outcome, PackSeen
from flyte_site import correlation, meters, tracing
from flyte_site.ids import new_id
from flyte_site.rows import Rows, read_both, together
from flyte_site.times import to_text
from packs import queue
from packs.models import Action, Pack, State
from packs.queue import Finish, Owner
from packs.sealed import fault

log = structlog.get_logger(__name__)

EXECUTIONS = Rows(Execution)
KEY_LIFE = timedelta(hours=24)


T = TypeVar("T")


class OtherEventError(Exception):
    """The idempotency key was used for another event."""


@dataclass(frozen=True)
class Once:
    """What tells an event that is sent again from another one: the sender's key, and a digest of what was sent."""

    key: str
    digest: str


def handle_event(event: Event, once: Once | None = None) -> None:
    """Start every flow that listens to the event. When this returns, all that it causes is committed.

    With `once`, an event that was taken already starts nothing again; raises `OtherEventError` where its key was used
    for another.
    """
    with tracing.span("event", pack=event.pack.identity, event=event.name, request_id=correlation.current()):
        _handle_event(event, once)


def _handle_event(event: Event, once: Once | None) -> None:
    attempts = try_triggers(event)

    def write(apart: bool) -> bool:
        if once and not _first_time(event, once):
            return False
        start_flows(event, attempts, apart=apart)
        return True

    # What starts flows is whole by itself; together with the key it needs a transaction.
    if (attempts or once) and not written(write, transaction.atomic if once else nullcontext):
        meters.count_event(event.pack.name, "repeated")
        return
    if attempts:
        kept.forget_old(event)
    else:
        kept.sample(event)
    meters.count_event(event.pack.name, count_flows(attempts))
    begun = " ".join(attempt.correlation_id for attempt in attempts if attempt.correlation_id)
    told = {"pack": event.pack.identity, "event_name": event.name, "flows": len(attempts)}
    log.info("event_received", **told, **({"executions": begun} if begun else {}))


def written(write: Callable[[bool], T], whole: Callable[[], AbstractContextManager[Any]] = transaction.atomic) -> T:
    """What `write` gives, as a `whole`.

    Flows are alone with their failures by savepoints, and these cost as much as what they guard. So all is written
    without them; if anything fails, all of it is undone and written again with each flow `apart`.
    """
    try:
        with whole():
            return write(False)
    except (OperationalError, InterfaceError, OtherEventError):
        raise
    except Exception as error:
        log.warning("written_apart", error=type(error).__name__)
        with transaction.atomic():
            return write(True)


def start_flows(event: Event, attempts: list[Attempt], replay_of: str = "", *, apart: bool = True) -> None:
    """Begin the executions of an event, and keep the event; `apart` within a transaction, else as a whole."""
    event_id = new_id()
    with nullcontext() if apart else together():
        for attempt in attempts:
            _start(attempt, event, event_id, replay_of, apart=apart)
        _record(event_id, event, attempts)


def _record(event_id: str, event: Event, attempts: Sequence[Attempt], correlation_id: str = "") -> None:
    """Keep the event with what each flow made of it, where any listened."""
    if attempts:
        kept.record(event_id, event, [attempt.audit() for attempt in attempts], correlation_id)


def count_flows(attempts: Sequence[Attempt], own: str = "") -> str:
    """Count what flows made of an event, and say it in a word. `own` is the execution that the event belongs to."""
    errors = 0
    for attempt in attempts:
        found = sum(outcome.kind is Kind.ERROR for outcome in attempt.outcomes)
        meters.count_flow(attempt.flow_name, fired=attempt.correlation_id not in ("", own), errors=found)
        errors += found
    if any(attempt.correlation_id for attempt in attempts):
        return "fired"
    return "error" if errors else "unmet" if attempts else "unheard"


@dataclass
class Finished:
    """What became of a result: the execution and the action as they are now, and who heard of it."""

    execution: Execution
    action: Action
    finish: Finish
    heard: list[Attempt] = field(default_factory=list)


def _count_finish(done: Finished) -> None:
    """Count a result, and what it caused."""
    meters.count_result(done.action.pack_name, done.finish.value)
    count_flows(done.heard, done.execution.id)
    if done.finish is Finish.COUNTED and done.execution.ended_at:
        meters.count_execution(done.execution.flow_name, done.execution.state)


def _first_time(event: Event, once: Once) -> bool:
    """Note the key; False where the same event was taken with it. A key is forgotten after a day."""
    own = ReceivedKey.objects.filter(pack_identity=event.pack.identity, key=once.key)
    own.filter(received_at__lte=event.received_at - KEY_LIFE).delete()
    noted = {"digest": once.digest, "received_at": event.received_at}
    known, first = ReceivedKey.objects.get_or_create(pack_identity=event.pack.identity, key=once.key, defaults=noted)
    if known.digest != once.digest:
        raise OtherEventError(once.key)
    return first


def complete(action_id: str, pack: Pack, event: Event, attempt: int = 1) -> Finish | None:
    """Take a result: finish its action, continue its execution, start the flows that listen to it – or nothing at all.

    `attempt` says which take of the action it is the result of. None where there is no such action. When this returns,
    all that the result causes is committed. What the result repeats of the action's secrets is masked for everybody.
    """
    action = queue.find(action_id)
    if action is None:
        return None
    correlation.adopt(action.request_id)
    told = {"pack": pack.identity, "event": event.name, "action": action_id, "execution": action.correlation_id}
    with tracing.span("result", action.traceparent, request_id=action.request_id, **told):
        return _complete(action, pack, without_echo(action, event), attempt)


def _complete(action: Action, pack: Pack, event: Event, attempt: int) -> Finish | None:
    attempts = try_triggers(event) if action.state == State.PENDING else []

    def write(apart: bool) -> Finished | None:
        execution, actions = _locked_whole(action.correlation_id)
        current = next((one for one in actions if one.id == action.id), None)
        if execution is None or current is None:
            return None
        with nullcontext() if apart else together():
            finish = queue.finish(current, pack, attempt, event.audit(), event.received_at)
            done = Finished(execution, current, finish)
            if finish is Finish.COUNTED:
                done.heard = _after_finish(execution, current, actions, event, attempts, apart=apart)
        return done

    done = written(write)
    if done is None:
        return None
    _count_finish(done)
    if done.heard:
        kept.forget_old(event)
    elif done.finish is Finish.COUNTED:
        kept.sample(event, done.execution.id)
    told = {"action": action.id, "execution": done.execution.id, "event_name": event.name}
    log.info("result_received", pack=pack.identity, **told, outcome=done.finish.value)
    return done.finish


def end_lease(action_id: str) -> Finish | None:
    """End the attempt of an action whose lease has ended, as a FATAL result would; None where it has none any more."""
    action = Action.objects.filter(id=action_id).first()
    if action is None:
        return None
    correlation.adopt(action.request_id)
    with tracing.span("lease ended", action.traceparent, action=action_id, execution=action.correlation_id):
        return _end_lease(action)


def _end_lease(action: Action) -> Finish | None:
    event = _lease_event(action)
    attempts = try_triggers(event) if action.attempt > action.retries else []
    with transaction.atomic():
        execution = _locked(action.correlation_id)
        current = queue.locked(action.id)
        if execution is None or current is None or not queue.lease_has_ended(current, event.received_at):
            return None
        done = Finished(execution, current, queue.end_lease(current, event.audit(), event.received_at))
        if done.finish is Finish.COUNTED:
            actions = [current if one.id == action.id else one for one in queue.of_execution(execution.id)]
            done.heard = _after_finish(execution, current, actions, event, attempts, apart=True)
    _count_finish(done)
    if done.heard:
        kept.forget_old(event)
    told = {"action": action.id, "execution": done.execution.id, "attempt": action.attempt}
    log.warning("lease_ended", pack=action.holder, **told, outcome=done.finish.value)
    return done.finish


def _locked(correlation_id: str) -> Execution | None:
    return EXECUTIONS.first("id = %s", correlation_id, lock=True)


def _locked_whole(correlation_id: str) -> tuple[Execution | None, list[Action]]:
    """The execution, its row locked, and its actions as they are from then on."""
    execution = EXECUTIONS.query("id = %s", correlation_id, lock=True)
    found, actions = read_both(EXECUTIONS, execution, queue.FINISHED, queue.of_execution_query(correlation_id))
    return next(iter(found), None), actions


def _lease_event(action: Action) -> Event:
    """The event that stands for a result that did not come."""
    now = timezone.now()
    holder = Pack.objects.filter(identity=action.holder).first()
    pack = PackSeen(action.holder, action.pack_name, holder.labels if holder else action.pack_labels)
    unreadable = fault(action)
    payload = {
        "reason": f"its secrets can't be read: {unreadable}" if unreadable else "lease expired",
        "command": action.name,
        "packId": action.holder,
        "attempt": action.attempt,
    }
    return Event(pack, queue.FATAL_EVENT, payload, now, now)


def _after_finish(
    execution: Execution, action: Action, actions: list[Action], event: Event, attempts: list[Attempt], *, apart: bool
) -> list[Attempt]:
    """What a counted result causes, in its own execution, whose actions are these, and in others; the execution is
    locked. Gives what listened to it."""
    event_id = new_id()
    own = _continue(execution, action, actions, event, apart=apart)
    for attempt in attempts:
        _start(attempt, event, event_id, apart=apart)
    heard = [own, *attempts] if own.outcomes else attempts
    _record(event_id, event, heard, execution.id)
    return heard


def _start(attempt: Attempt, event: Event, event_id: str, replay_of: str = "", *, apart: bool) -> None:
    """Begin an execution with all trigger steps that fired; if this flow is `apart`, what fails is undone for it
    alone."""
    if not attempt.drafts:
        return
    attempt.correlation_id = new_id()
    try:
        with savepoint(apart):
            _create_execution(attempt, event, event_id, replay_of)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if not apart:
            raise
        attempt.fail(error)


def savepoint(apart: bool) -> AbstractContextManager[Any]:
    """What is written in it is undone alone when it fails, if it is to be `apart`."""
    return transaction.atomic() if apart else nullcontext()


def _create_execution(attempt: Attempt, event: Event, event_id: str, replay_of: str) -> None:
    owner = Owner(attempt.correlation_id, attempt.flow_name, attempt.version_id)
    actions = queue.enqueue(owner, attempt.drafts, event.received_at)
    errors = [_error(outcome, event) for outcome in attempt.outcomes if outcome.kind is Kind.ERROR]
    execution = Execution(
        id=attempt.correlation_id,
        flow_name=attempt.flow_name,
        version_id=attempt.version_id,
        event_id=event_id,
        errors=errors,
        started_at=event.received_at,
        changed_at=event.received_at,
        replay_of=replay_of,
        latest_action_id=actions[-1].id,
    )
    EXECUTIONS.insert([execution])


def _continue(execution: Execution, action: Action, actions: list[Action], event: Event, *, apart: bool) -> Attempt:
    """Judge the steps of a running execution that this finish may fire, queue what fired, and settle its state."""
    attempt = Attempt(execution.flow_name, execution.version_id, correlation_id=execution.id)
    try:
        attempt.outcomes = judge_followers(compiled(execution.version_id), actions, action, event, judge)
        with savepoint(apart):
            owner = Owner(execution.id, execution.flow_name, execution.version_id)
            queued = queue.enqueue(owner, attempt.drafts, event.received_at)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if not apart:
            raise
        attempt.fail(error)
        queued = []
    if queued:
        execution.latest_action_id = max(execution.latest_action_id, queued[-1].id)
    _settle(execution, [*actions, *queued], attempt, event)
    return attempt


def _settle(execution: Execution, actions: Sequence[Action], attempt: Attempt, event: Event) -> None:
    """Bring the execution's own row in line with its actions."""
    errors = [_error(outcome, event) for outcome in attempt.outcomes if outcome.kind is Kind.ERROR]
    execution.errors = execution.errors + errors
    if all(action.finished for action in actions):
        execution.state = _end_state(execution, actions)
        execution.ended_at = event.received_at
    execution.changed_at = event.received_at
    own = ["errors"] if errors else []
    EXECUTIONS.update(execution, *own, "latest_action_id", "state", "ended_at", "changed_at")


def _end_state(execution: Execution, actions: Sequence[Action]) -> ExecutionState:
    """Failed if a step could not be judged, or a FATAL result had no step that fired on it."""
    answered = {action.triggered_by for action in actions}
    unanswered = any(action.state == State.FATAL and action.id not in answered for action in actions)
    return ExecutionState.FAILED if execution.errors or unanswered else ExecutionState.SUCCEEDED


def _error(outcome: Outcome, event: Event) -> dict[str, Any]:
    """An error as it stands in its execution."""
    return outcome.audit() | {"event": event.name, "packName": event.pack.name, "time": to_text(event.received_at)}
