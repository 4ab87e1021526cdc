"""Stories that nobody lived through, for the tests of the checks: a sound one, and ways to spoil it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.faults.flows import FATAL, RESULTS, STEPS
from tests.faults.journal import Note
from tests.faults.story import Action, Execution, Story

KEY = "s-1"
RUN, OTHER_RUN = "x1", "x2"
CAUSES = {"left": "start", "middle": "start", "right": "start", "join": "left", "after": "join", "rescue": "right"}
USUAL_STEPS = ("start", "left", "middle", "right", "join", "after")


def note(kind: str, **fields: Any) -> Note:
    return {"at": 1.0, "kind": kind, **fields}


def result(step: str, event: str = "", run: str = RUN) -> dict[str, Any]:
    """A result as the audit shows it."""
    name = STEPS[step]["command"]["packName"]
    payload = {"key": KEY, "step": step, "run": run}
    return {"event": event or RESULTS[step], "pack": {"id": name, "name": name}, "payload": payload}


def entries(text: str) -> list[dict[str, str]]:
    """States one after the other, a second each."""
    return [{"value": value, "time": f"2024-01-01T00:00:{second:02}Z"} for second, value in enumerate(text.split())]


def action(step: str, execution: str = "e1") -> Action:
    """One that ended well at the first attempt."""
    cause = CAUSES.get(step, "")
    return Action(
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


def fatal(step: str, run: str = RUN) -> Action:
    """One that ended FATAL at its last attempt."""
    whole = action(step)
    return replace(whole, state=FATAL, states=entries("NEW PENDING FATAL"), result=result(step, FATAL, run))


def cancelled(step: str) -> Action:
    """One that was taken out of the queue."""
    return replace(action(step), state="CANCELLED", attempt=0, states=entries("NEW CANCELLED"), result=None)


def tried_twice(step: str) -> Action:
    """One whose first attempt ended FATAL."""
    history = [{"attempt": 1, "result": result(step, FATAL)}]
    states = entries("NEW PENDING NEW PENDING SUCCESS")
    return replace(action(step), attempt=2, states=states, history=history, result=result(step, run=OTHER_RUN))


def notes_of(one: Action) -> list[Note]:
    """What a pack tells that did all attempts of an action, was answered each time, and lost no answer."""
    ended = [(entry["attempt"], entry["result"]) for entry in one.history if not entry.get("late")]
    ended += [(one.attempt, one.result)] if one.result else []
    return [line for attempt, given in ended for line in _attempt_notes(one, attempt, given)]


def _attempt_notes(one: Action, attempt: int, given: Mapping[str, Any]) -> list[Note]:
    which = {"action": one.id, "attempt": attempt}
    run = {"key": one.key, "step": one.step, "run": given["payload"].get("run", OTHER_RUN)}
    told = which | {"event": given["event"], "payload": given["payload"]}
    begun = [
        note("taken", **which, key=one.key, step=one.step),
        note("answer", to="take", status=200),
        note("began", **run),
    ]
    if "run" not in given["payload"]:  # the lease ended meanwhile
        return begun
    return [
        *begun,
        note("ended", **run),
        note("result_sent", **told),
        note("result_answered", status=202, **told),
        note("answer", to="result", status=202),
    ]


def shown(execution: Execution, actions: Sequence[Action]) -> dict[str, Any]:
    """An execution as the audit shows it, as far as the checks look."""
    return {"correlationId": execution.id, "actions": {one.step: shown_action(one) for one in actions}}


def shown_action(one: Action) -> dict[str, Any]:
    state: dict[str, Any] = {"value": one.state}
    if one.state == "CANCELLED":
        state = {"value": FATAL, "cancelled": True}
    return {"id": one.id, "state": state} | ({"result": one.result} if one.result else {})


def story(*changed: Action, without: str = "", state: str = "succeeded", echo: bool = True) -> Story:
    """A run of the fan-out, and of the flow that hears it; `changed` actions stand in place of the usual ones."""
    usual = {step: action(step) for step in USUAL_STEPS if step not in without.split()}
    actions = list((usual | {one.step: one for one in changed}).values())
    executions = [Execution("e1", "fan-out", state)]
    if echo:
        actions.append(action("echo", "e2"))
        executions.append(Execution("e2", "echo", "succeeded"))
    notes = [
        note("event_sent", key=KEY),
        note("event_answered", key=KEY, status=202),
        note("answer", to="events", status=202),
        *(line for one in actions for line in notes_of(one)),
    ]
    return whole(notes, executions, actions)


def whole(notes: Sequence[Note], executions: Sequence[Execution], actions: Sequence[Action]) -> Story:
    """A story whose audit shows what it has."""
    audit = {one.id: shown(one, [own for own in actions if own.execution == one.id]) for one in executions}
    return Story(notes, executions, actions, audit)


def with_notes(told: Story, *more: Note) -> Story:
    return replace(told, notes=[*told.notes, *more])


def without_notes(told: Story, drop: Callable[[Note], bool]) -> Story:
    return replace(told, notes=[line for line in told.notes if not drop(line)])


def with_action(told: Story, step: str, **changes: Any) -> Story:
    """The story with one action of the fan-out changed, in the audit too."""
    actions = [replace(one, **changes) if one.id == f"e1-{step}" else one for one in told.actions]
    return whole(told.notes, told.executions, actions)


def with_more(told: Story, executions: Sequence[Execution] = (), actions: Sequence[Action] = ()) -> Story:
    return whole(told.notes, [*told.executions, *executions], [*told.actions, *actions])
