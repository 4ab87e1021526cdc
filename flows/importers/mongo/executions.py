"""Conversion of the original's executions to rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flows.definition import FlowOutline
from flows.definition.types import make_default_step_id
from flows.importers.mongo.source import MongoDocument, get_text
from flows.importers.mongo.values import EPOCH, convert_event, convert_id, get_time, to_json_value, to_string_map
from flows.models import Execution, ExecutionState
from flyte_site.core.timestamps import format_rfc3339, parse_rfc3339
from packs.models import Action, ActionState, build_labels_key

FINISHED_STATES = (ActionState.SUCCESS, ActionState.FATAL)
MAX_NAME_LENGTH, MAX_ID_LENGTH, MAX_LABELS_KEY_LENGTH = 255, 24, 2000


@dataclass
class ImportedExecution:
    """An execution with its actions; `skipped_messages` lists actions that could not be imported."""

    execution: Execution
    actions: list[Action]
    skipped_messages: list[str] = field(default_factory=list)

    @property
    def is_running(self) -> bool:
        return self.execution.state == ExecutionState.RUNNING


def build_imported_execution(
    documents: Sequence[MongoDocument],
    version_ids: Mapping[str, str],
    outlines_by_uuid: Mapping[str, FlowOutline],
) -> ImportedExecution:
    """Build the execution of these actions.

    `version_ids` maps the original's flow uuids to versions, `outlines_by_uuid` to their steps. Raises `ValueError` if
    nothing of it can be imported.
    """
    skipped_messages: list[str] = []
    actions_by_step: dict[str, Action] = {}
    for document in sorted(documents, key=_get_start_time):
        action = _build_action(document, version_ids, outlines_by_uuid)
        if reason := _find_skip_reason(action, actions_by_step):
            skipped_messages.append(f"action {get_text(document, '_id')!r} skipped: {reason}")
        else:
            actions_by_step[action.step_id] = action
    valid_actions = list(actions_by_step.values())
    if not valid_actions:
        raise ValueError("; ".join(skipped_messages) or "no actions")
    _link_triggering_actions(valid_actions, outlines_by_uuid.get(get_text(documents[0], "flowUUID")))
    return ImportedExecution(_build_execution(valid_actions), valid_actions, skipped_messages)


def _get_start_time(document: MongoDocument) -> datetime:
    return _build_state_log(document)[0][1]


def _build_state_log(document: MongoDocument) -> list[tuple[str, datetime]]:
    """Build the states of an action; the last is the current one, and the only one in older documents."""
    raw_states = document.get("states")
    states = [entry for entry in raw_states if isinstance(entry, Mapping)] if isinstance(raw_states, list) else []
    current_state = document.get("state")
    if isinstance(current_state, Mapping) and (
        not states or get_text(states[-1], "value") != get_text(current_state, "value")
    ):
        states.append(current_state)
    return [(get_text(entry, "value"), get_time(entry, "time")) for entry in states] or [(str(ActionState.NEW), EPOCH)]


def _build_action(
    document: MongoDocument, version_ids: Mapping[str, str], outlines_by_uuid: Mapping[str, FlowOutline]
) -> Action:
    state_log = _build_state_log(document)
    (state, changed_at), started_at = state_log[-1], state_log[0][1]
    old_id = get_text(document, "_id")
    labels = to_string_map(document.get("packLabels"))
    result = convert_event(document.get("result"), changed_at) if state in FINISHED_STATES else None
    return Action(
        # The pack that has taken it will post the result under the original id.
        id=old_id if state == ActionState.PENDING else convert_id(old_id, started_at),
        correlation_id=get_text(document, "correlationId"),
        flow_name=get_text(document, "flowName"),
        flow_uuid=version_ids.get(get_text(document, "flowUUID"), ""),
        step_id=get_text(document, "stepId") or _guess_step_id(document, outlines_by_uuid),
        pack_name=get_text(document, "packName"),
        pack_labels=labels,
        labels_key=build_labels_key(labels),
        name=get_text(document, "name"),
        input=to_json_value(document.get("input")),
        context=to_string_map(document.get("context")),
        trigger=convert_event(document.get("trigger"), started_at),
        state=state,
        is_queued=state == ActionState.NEW,
        ready_at=started_at,
        attempt=0 if state == ActionState.NEW else 1,
        taken_at=changed_at if state == ActionState.PENDING else None,
        state_log=[{"value": value, "time": format_rfc3339(time)} for value, time in state_log],
        claimed_by=result["pack"]["id"] if result else "",
        result=result,
        finished_at=changed_at if state in FINISHED_STATES else None,
    )


def _guess_step_id(document: MongoDocument, outlines_by_uuid: Mapping[str, FlowOutline]) -> str:
    """Return the id of a step without an id, identified by its command."""
    outline = outlines_by_uuid.get(get_text(document, "flowUUID"))
    command = (get_text(document, "packName"), get_text(document, "name"))
    matching_ids = [
        step.id
        for step in (outline.steps if outline else ())
        if step.has_default_id and (step.command.pack_name, step.command.name) == command
    ]
    return matching_ids[0] if matching_ids else make_default_step_id(0)


def _find_skip_reason(action: Action, earlier_actions: Mapping[str, Action]) -> str:
    """Return the reason why an action cannot be imported; '' if it can."""
    if action.state not in (*FINISHED_STATES, ActionState.NEW, ActionState.PENDING):
        return f"unknown state {action.state!r}"
    if not action.flow_uuid:
        return "its flow version was not found"
    if action.trigger is None:
        return "no trigger event"
    if action.state in FINISHED_STATES and not action.result:
        return "finished without a result"
    if action.step_id in earlier_actions:
        return f"duplicate action of step {action.step_id!r}"
    names = (action.flow_name, action.step_id, action.pack_name, action.name)
    too_long = any(len(name) > MAX_NAME_LENGTH for name in names) or len(action.labels_key) > MAX_LABELS_KEY_LENGTH
    ids = (action.id, action.correlation_id)
    return "names too long" if too_long or any(len(value) > MAX_ID_LENGTH for value in ids) else ""


def _link_triggering_actions(actions: Sequence[Action], outline: FlowOutline | None) -> None:
    """Record the action on whose result each step fired."""
    for action in actions:
        step = outline.get_step(action.step_id) if outline else None
        dependencies = step.depends_on if step else ()
        triggering_actions = [
            other
            for other in actions
            if other.step_id in dependencies and other.result and _is_same_event(other.result, action.trigger)
        ]
        if triggering_actions:
            action.triggered_by = triggering_actions[0].id


def _is_same_event(result: Mapping[str, Any], trigger: Mapping[str, Any]) -> bool:
    return all(result.get(key) == trigger.get(key) for key in ("event", "pack", "payload"))


def _build_execution(actions: Sequence[Action]) -> Execution:
    change_times = sorted(parse_rfc3339(entry["time"]) for action in actions for entry in action.state_log)
    is_running = any(action.state not in FINISHED_STATES for action in actions)
    handled_ids = {action.triggered_by for action in actions}
    has_failed = any(action.state == ActionState.FATAL and action.id not in handled_ids for action in actions)
    final_state = ExecutionState.FAILED if has_failed else ExecutionState.SUCCEEDED
    started_at, changed_at, first_action = change_times[0], change_times[-1], actions[0]
    ids = [
        convert_id(action.id, started_at) if action.state == ActionState.PENDING else action.id for action in actions
    ]
    return Execution(
        id=first_action.correlation_id,
        flow_name=first_action.flow_name,
        version_id=first_action.flow_uuid,
        event_id="",
        state=ExecutionState.RUNNING if is_running else final_state,
        started_at=started_at,
        ended_at=None if is_running else changed_at,
        changed_at=changed_at,
        latest_action_id=max(ids),
    )
