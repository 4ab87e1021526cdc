"""Invented stories for the tests of the checks: a correct one, and functions that add defects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.faults.flows import FATAL, RESULTS, STEPS
from tests.faults.journal import Note
from tests.faults.story import StoredAction, StoredExecution, Story

KEY = "s-1"
RUN, OTHER_RUN = "x1", "x2"
CAUSES = {"left": "start", "middle": "start", "right": "start", "join": "left", "after": "join", "rescue": "right"}
USUAL_STEPS = ("start", "left", "middle", "right", "join", "after")


def note(kind: str, **fields: Any) -> Note:
    return {"at": 1.0, "kind": kind, **fields}


def result(step: str, event: str = "", run: str = RUN) -> dict[str, Any]:
    """Build a result as the audit shows it."""
    name = STEPS[step]["command"]["packName"]
    payload = {"key": KEY, "step": step, "run": run}
    return {"event": event or RESULTS[step], "pack": {"id": name, "name": name}, "payload": payload}


def entries(text: str) -> list[dict[str, str]]:
    """Build the log of an action's states, one second apart."""
    return [{"value": value, "time": f"2024-01-01T00:00:{second:02}Z"} for second, value in enumerate(text.split())]


def action(step: str, execution: str = "e1") -> StoredAction:
    """Build an action that succeeded at its first attempt."""
    cause = CAUSES.get(step, "")
    return StoredAction(
        id=f"{execution}-{step}",
        execution=execution,
        step=step,
        pack=STEPS[step]["command"]["packName"],
        key=KEY,
        trigger_key=KEY,
        triggered_by=f"{execution}-{cause}" if cause else "",
        state="SUCCESS",
        waiting=False,
        leased=False,
        attempt=1,
        retries=STEPS[step]["command"].get("retries", 0),
        states=entries("NEW PENDING SUCCESS"),
        result=result(step),
    )


def fatal(step: str, run: str = RUN) -> StoredAction:
    """Build an action that ended FATAL at its last attempt."""
    succeeded = action(step)
    return replace(succeeded, state=FATAL, states=entries("NEW PENDING FATAL"), result=result(step, FATAL, run))


def cancelled(step: str) -> StoredAction:
    """Build an action that was cancelled in the queue."""
    return replace(action(step), state="CANCELLED", attempt=0, states=entries("NEW CANCELLED"), result=None)


def tried_twice(step: str) -> StoredAction:
    """Build an action whose first attempt ended FATAL."""
    history = [{"attempt": 1, "result": result(step, FATAL)}]
    states = entries("NEW PENDING NEW PENDING SUCCESS")
    return replace(action(step), attempt=2, states=states, history=history, result=result(step, run=OTHER_RUN))


def notes_of(action: StoredAction) -> list[Note]:
    """Build the notes of a pack that ran all attempts of an action and received every response."""
    ended = [(entry["attempt"], entry["result"]) for entry in action.history if not entry.get("late")]
    ended += [(action.attempt, action.result)] if action.result else []
    return [line for attempt, result in ended for line in _attempt_notes(action, attempt, result)]


def _attempt_notes(action: StoredAction, attempt: int, result: Mapping[str, Any]) -> list[Note]:
    ids = {"action": action.id, "attempt": attempt}
    run = {"key": action.key, "step": action.step, "run": result["payload"].get("run", OTHER_RUN)}
    sent = ids | {"event": result["event"], "payload": result["payload"]}
    notes = [
        note("taken", **ids, key=action.key, step=action.step),
        note("answer", to="take", status=200),
        note("began", **run),
    ]
    if "run" not in result["payload"]:  # the lease expired during the run
        return notes
    return [
        *notes,
        note("ended", **run),
        note("result_sent", **sent),
        note("result_answered", status=202, **sent),
        note("answer", to="result", status=202),
    ]


def audit_execution(execution: StoredExecution, actions: Sequence[StoredAction]) -> dict[str, Any]:
    """Build an execution as the audit shows it, with the fields that the checks read."""
    return {"correlationId": execution.id, "actions": {action.step: audit_action(action) for action in actions}}


def audit_action(action: StoredAction) -> dict[str, Any]:
    state: dict[str, Any] = {"value": action.state}
    if action.state == "CANCELLED":
        state = {"value": FATAL, "cancelled": True}
    return {"id": action.id, "state": state} | ({"result": action.result} if action.result else {})


def story(*changed: StoredAction, without: str = "", state: str = "succeeded", echo: bool = True) -> Story:
    """Build a run of the fan-out and of the flow that it triggers; `changed` actions replace the usual ones."""
    usual = {step: action(step) for step in USUAL_STEPS if step not in without.split()}
    actions = list((usual | {changed_action.step: changed_action for changed_action in changed}).values())
    executions = [StoredExecution("e1", "fan-out", state)]
    if echo:
        actions.append(action("echo", "e2"))
        executions.append(StoredExecution("e2", "echo", "succeeded"))
    notes = [
        note("event_sent", key=KEY),
        note("event_answered", key=KEY, status=202),
        note("answer", to="events", status=202),
        *(line for performed in actions for line in notes_of(performed)),
    ]
    return complete_story(notes, executions, actions)


def complete_story(
    notes: Sequence[Note], executions: Sequence[StoredExecution], actions: Sequence[StoredAction]
) -> Story:
    """Build a story whose audit agrees with its rows."""
    audit = {
        execution.id: audit_execution(execution, [action for action in actions if action.execution == execution.id])
        for execution in executions
    }
    return Story(notes, executions, actions, audit)


def with_notes(original: Story, *more: Note) -> Story:
    return replace(original, notes=[*original.notes, *more])


def without_notes(original: Story, drop: Callable[[Note], bool]) -> Story:
    return replace(original, notes=[line for line in original.notes if not drop(line)])


def with_action(original: Story, step: str, **changes: Any) -> Story:
    """Return the story with one action of the fan-out changed, in the audit too."""
    actions = [replace(action, **changes) if action.id == f"e1-{step}" else action for action in original.actions]
    return complete_story(original.notes, original.executions, actions)


def with_more(
    original: Story, executions: Sequence[StoredExecution] = (), actions: Sequence[StoredAction] = ()
) -> Story:
    return complete_story(original.notes, [*original.executions, *executions], [*original.actions, *actions])
