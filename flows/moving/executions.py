"""An execution there, as rows here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flows.models import Execution, ExecutionState
from flows.moving.reading import Document, text
from flows.moving.values import EPOCH, event, moment, moved_id, plain, texts
from flyte_site.times import from_text, to_text
from packs.models import Action, State, label_key

FINISHED = (State.SUCCESS, State.FATAL)
MAX_NAME, MAX_ID, MAX_LABEL_KEY = 255, 24, 2000


@dataclass
class Moved:
    """An execution with its actions; `left_out` says what could not be taken over."""

    execution: Execution
    actions: list[Action]
    left_out: list[str] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        return self.execution.state == ExecutionState.RUNNING


def moved(
    documents: Sequence[Document], version_of: Mapping[str, str], steps: Mapping[str, Sequence[Document]]
) -> Moved:
    """The execution that these actions are of.

    `version_of` gives the version here of a flow's uuid there, `steps` the steps of that version. Raises `ValueError`
    where nothing of it can be kept.
    """
    left_out: list[str] = []
    actions: dict[str, Action] = {}
    for one in sorted(documents, key=_began):
        action = _action(one, version_of, steps)
        if fault := _fault(action, actions):
            left_out.append(f"action {text(one, '_id')!r} is left out: {fault}")
        else:
            actions[action.step_id] = action
    kept = list(actions.values())
    if not kept:
        raise ValueError("; ".join(left_out) or "it has no actions")
    _connect(kept, steps.get(text(documents[0], "flowUUID"), ()))
    return Moved(_execution(kept), kept, left_out)


def _began(document: Document) -> datetime:
    return _states(document)[0][1]


def _states(document: Document) -> list[tuple[str, datetime]]:
    """The states that an action was in, the last one being the one that it is in; older documents have that alone."""
    listed = document.get("states")
    found = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    last = document.get("state")
    if isinstance(last, Mapping) and (not found or text(found[-1], "value") != text(last, "value")):
        found.append(last)
    return [(text(one, "value"), moment(one, "time")) for one in found] or [(str(State.NEW), EPOCH)]


def _action(one: Document, version_of: Mapping[str, str], steps: Mapping[str, Sequence[Document]]) -> Action:
    states = _states(one)
    (state, changed), began = states[-1], states[0][1]
    known = text(one, "_id")
    labels = texts(one.get("packLabels"))
    result = event(one.get("result"), changed) if state in FINISHED else None
    return Action(
        # Whoever has taken it will give its result under the id that it had there.
        id=known if state == State.PENDING else moved_id(known, began),
        correlation_id=text(one, "correlationId"),
        flow_name=text(one, "flowName"),
        flow_uuid=version_of.get(text(one, "flowUUID"), ""),
        step_id=text(one, "stepId") or _step_without_id(one, steps),
        pack_name=text(one, "packName"),
        pack_labels=labels,
        label_key=label_key(labels),
        name=text(one, "name"),
        input=plain(one.get("input")),
        context=texts(one.get("context")),
        trigger=event(one.get("trigger"), began),
        state=state,
        waiting=state == State.NEW,
        ready_at=began,
        attempt=0 if state == State.NEW else 1,
        states=[{"value": value, "time": to_text(at)} for value, at in states],
        holder=result["pack"]["id"] if result else "",
        result=result,
        finished_at=changed if state in FINISHED else None,
    )


def _step_without_id(one: Document, steps: Mapping[str, Sequence[Document]]) -> str:
    """The id here of a step that had none there: by its place; which one it was is told by its command."""
    nameless = [
        (place, step.get("command", {}))
        for place, step in enumerate(steps.get(text(one, "flowUUID"), ()), start=1)
        if not step.get("id")
    ]
    wanted = (text(one, "packName"), text(one, "name"))
    fitting = [place for place, command in nameless if (command.get("packName"), command.get("name")) == wanted]
    return f"step-{(fitting or [1])[0]}"


def _fault(action: Action, others: Mapping[str, Action]) -> str:
    """What keeps an action from being kept; '' if nothing."""
    if action.state not in (*FINISHED, State.NEW, State.PENDING):
        return f"its state is {action.state!r}"
    if not action.flow_uuid:
        return "its flow is in no history"
    if action.trigger is None:
        return "it has no trigger"
    if action.state in FINISHED and not action.result:
        return "it has ended without a result"
    if action.step_id in others:
        return f"step {action.step_id!r} has another"
    names = (action.flow_name, action.step_id, action.pack_name, action.name)
    too_long = any(len(name) > MAX_NAME for name in names) or len(action.label_key) > MAX_LABEL_KEY
    ids = (action.id, action.correlation_id)
    return "its names are too long" if too_long or any(len(one) > MAX_ID for one in ids) else ""


def _connect(actions: Sequence[Action], steps: Sequence[Document]) -> None:
    """Note which action's result each step fired on."""
    after = {str(step.get("id") or f"step-{place}"): step.get("dependsOn") for place, step in enumerate(steps, start=1)}
    for action in actions:
        named = after.get(action.step_id) or ()
        causes = [one for one in actions if one.step_id in named and one.result and _same(one.result, action.trigger)]
        if causes:
            action.triggered_by = causes[0].id


def _same(result: Mapping[str, Any], trigger: Mapping[str, Any]) -> bool:
    return all(result.get(key) == trigger.get(key) for key in ("event", "pack", "payload"))


def _execution(actions: Sequence[Action]) -> Execution:
    times = sorted(from_text(entry["time"]) for action in actions for entry in action.states)
    running = any(action.state not in FINISHED for action in actions)
    answered = {action.triggered_by for action in actions}
    failed = any(action.state == State.FATAL and action.id not in answered for action in actions)
    ended = ExecutionState.FAILED if failed else ExecutionState.SUCCEEDED
    began, changed, first = times[0], times[-1], actions[0]
    ids = [moved_id(one.id, began) if one.state == State.PENDING else one.id for one in actions]
    return Execution(
        id=first.correlation_id,
        flow_name=first.flow_name,
        version_id=first.flow_uuid,
        event_id="",
        state=ExecutionState.RUNNING if running else ended,
        started_at=began,
        ended_at=None if running else changed,
        changed_at=changed,
        latest_action_id=max(ids),
    )
