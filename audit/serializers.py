"""Executions and events as the audit API returns them."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from rest_framework import serializers

from flows.api.document_serializers import StepSchema
from flows.definition import read_outline
from flows.models import Event, Execution, ExecutionState
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.http.fields import LinkSerializer
from flyte_site.http.links import LinkBuilder
from packs.hosted_status import serialize_phase
from packs.models import Action, ActionState, HostedResource


class StateSchema(serializers.Serializer[Any]):
    """A state and its start; a cancelled action has `FATAL` and `cancelled`."""

    value = serializers.ChoiceField(choices=["NEW", "PENDING", "SUCCESS", "FATAL"])
    time = serializers.DateTimeField()
    cancelled = serializers.BooleanField(required=False)


class PackSeenSchema(serializers.Serializer[Any]):
    """The pack that sent an event."""

    id = serializers.CharField()
    name = serializers.CharField()
    labels = serializers.DictField(child=serializers.CharField(), required=False)


class EventSchema(serializers.Serializer[Any]):
    """An event: a trigger or a result."""

    event = serializers.CharField()
    pack = PackSeenSchema()
    payload = serializers.JSONField(required=False, allow_null=True)
    createdAt = serializers.DateTimeField()  # noqa: N815
    receivedAt = serializers.DateTimeField()  # noqa: N815


class AttemptSchema(serializers.Serializer[Any]):
    """The result of an attempt that did not end the action: the action is retried, or the result was `late`."""

    attempt = serializers.IntegerField()
    packId = serializers.CharField(allow_blank=True)  # noqa: N815
    time = serializers.DateTimeField()
    late = serializers.BooleanField(required=False)
    leaseEnded = serializers.BooleanField(required=False)  # noqa: N815
    result = EventSchema()


class WaitsForSchema(serializers.Serializer[Any]):
    """The missing pack of an orphaned action: no registered pack has this name and the action's `packLabels`."""

    pack = serializers.CharField()
    orphaned = serializers.BooleanField()


class HostedSchema(serializers.Serializer[Any]):
    """The status of an action at the service of a hosted pack."""

    phase = serializers.CharField()
    reason = serializers.CharField(required=False)
    failures = serializers.IntegerField(required=False)


class ActionSchema(serializers.Serializer[Any]):
    """An action: the command, its pack, its trigger and its result."""

    id = serializers.CharField()
    name = serializers.CharField()
    packName = serializers.CharField()  # noqa: N815
    packLabels = serializers.DictField(child=serializers.CharField(), required=False)  # noqa: N815
    input = serializers.JSONField(required=False)
    state = StateSchema()
    states = StateSchema(many=True)
    correlationId = serializers.CharField()  # noqa: N815
    flowName = serializers.CharField()  # noqa: N815
    flowUUID = serializers.CharField()  # noqa: N815
    stepId = serializers.CharField()  # noqa: N815
    context = serializers.DictField(child=serializers.CharField(), required=False)  # type: ignore[assignment]
    trigger = EventSchema()
    result = EventSchema(required=False)
    history = AttemptSchema(many=True, required=False)
    hosted = HostedSchema(required=False)
    waitsFor = WaitsForSchema(required=False)  # noqa: N815


class StepErrorSchema(serializers.Serializer[Any]):
    """A step that could not be evaluated: the error and its position in the flow and its template."""

    stepId = serializers.CharField()  # noqa: N815
    outcome = serializers.CharField()
    message = serializers.CharField(required=False)
    path = serializers.CharField(allow_blank=True)
    line = serializers.IntegerField()
    column = serializers.IntegerField()
    event = serializers.CharField()
    packName = serializers.CharField()  # noqa: N815
    time = serializers.DateTimeField()


class ExecutionSchema(serializers.Serializer[Any]):
    """One run of a flow: the steps of its flow version, and its actions by step id."""

    name = serializers.CharField()
    description = serializers.CharField(required=False)
    labels = serializers.DictField(child=serializers.CharField(), required=False)
    uuid = serializers.CharField()
    correlationId = serializers.CharField()  # noqa: N815
    steps = StepSchema(many=True)
    actions = serializers.DictField(child=ActionSchema())
    errors = StepErrorSchema(many=True, required=False)  # type: ignore[assignment]
    cancelled = serializers.BooleanField(required=False)
    replayOf = serializers.CharField(required=False)  # noqa: N815
    links = LinkSerializer(many=True)


class ExecutionList(serializers.Serializer[Any]):
    """A part of the executions."""

    flows = ExecutionSchema(many=True)
    links = LinkSerializer(many=True)


class StepOutcomeSchema(serializers.Serializer[Any]):
    """The outcome of one step: `fired`, or the reason why it did not fire: `labels`, `criteria` or `error`."""

    stepId = serializers.CharField(allow_blank=True)  # noqa: N815
    outcome = serializers.ChoiceField(choices=["fired", "labels", "criteria", "error"])
    message = serializers.CharField(required=False)
    path = serializers.CharField(required=False, allow_blank=True)
    line = serializers.IntegerField(required=False)
    column = serializers.IntegerField(required=False)
    wanted = serializers.DictField(child=serializers.CharField(), required=False)
    had = serializers.DictField(child=serializers.CharField(), required=False)
    saw = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        help_text="Values that false criteria read: by expression, as JSON, truncated and redacted.",
    )


class FlowOutcomeSchema(serializers.Serializer[Any]):
    """The outcome of an event in one flow; with a correlation id if an execution started or continued."""

    flow = serializers.CharField()
    uuid = serializers.CharField()
    correlationId = serializers.CharField(required=False)  # noqa: N815
    steps = StepOutcomeSchema(many=True)


class EventOutcomesSchema(EventSchema):
    """An event with its outcome in each flow that listened; no outcomes if none did."""

    id = serializers.CharField()
    correlationId = serializers.CharField(required=False)  # noqa: N815
    payloadBytes = serializers.IntegerField(  # noqa: N815
        required=False, help_text="Size of the payload in bytes, if it was too large to be stored."
    )
    outcomes = FlowOutcomeSchema(many=True)
    links = LinkSerializer(many=True)


class EventList(serializers.Serializer[Any]):
    """A part of the events."""

    events = EventOutcomesSchema(many=True)
    links = LinkSerializer(many=True)


def serialize_execution(
    execution: Execution,
    actions: Sequence[Action],
    links: LinkBuilder,
    orphan_ids: Container[str] = (),
    hosted: Mapping[str, HostedResource] | None = None,
) -> dict[str, Any]:
    """Return `ExecutionSchema` data. `orphan_ids`: actions that no registered pack could take; `hosted`: resources of
    hosted packs by action id.
    """
    document = execution.version.document
    steps = [{"id": step.id, **step.document} for step in read_outline(document).steps]
    body = {key: document[key] for key in ("name", "description", "labels") if key in document}
    body |= {"uuid": execution.version_id, "correlationId": execution.id, "steps": steps}
    rows = hosted or {}
    body["actions"] = {
        action.step_id: serialize_action(action, is_orphaned=action.id in orphan_ids, hosted=rows.get(action.id))
        for action in actions
    }
    if execution.errors:
        body["errors"] = execution.errors
    if execution.state == ExecutionState.CANCELLED:
        body["cancelled"] = True
    if execution.replay_of:
        body["replayOf"] = execution.replay_of
    return body | {"links": [links.to("self", "v1", "audit", "flows", execution.id)]}


def serialize_action(
    action: Action, *, is_orphaned: bool = False, hosted: HostedResource | None = None
) -> dict[str, Any]:
    """Return `ActionSchema` data; empty fields are omitted, as in the original."""
    states = [_serialize_state(entry) for entry in action.state_log]
    optional = {"packLabels": action.pack_labels, "context": action.context, "history": action.attempt_log}
    body: dict[str, Any] = {"id": action.id, "name": action.name, "packName": action.pack_name}
    body |= {key: value for key, value in optional.items() if value}
    if action.input is not None:
        body["input"] = action.input
    body |= {
        "state": states[-1],
        "states": states,
        "correlationId": action.correlation_id,
        "flowName": action.flow_name,
        "flowUUID": action.flow_uuid,
        "stepId": action.step_id,
        "trigger": action.trigger,
    }
    if is_orphaned:
        body["waitsFor"] = {"pack": action.pack_name, "orphaned": True}
    if hosted:
        body["hosted"] = serialize_phase(hosted)
    return body | ({"result": action.result} if action.result else {})


def _serialize_state(entry: dict[str, str]) -> dict[str, Any]:
    """Serialize a state in the original's vocabulary: a cancelled action is FATAL, with an additional field."""
    if entry["value"] != ActionState.CANCELLED:
        return dict(entry)
    return {"value": str(ActionState.FATAL), "time": entry["time"], "cancelled": True}


def serialize_event(event: Event, links: LinkBuilder) -> dict[str, Any]:
    """Return `EventOutcomesSchema` data."""
    pack = {"id": event.pack_identity, "name": event.pack_name}
    body: dict[str, Any] = {"id": event.id, "event": event.name}
    body["pack"] = pack | ({"labels": event.pack_labels} if event.pack_labels else {})
    if event.payload is not None:
        body["payload"] = event.payload
    if event.payload_bytes:
        body["payloadBytes"] = event.payload_bytes
    body |= {"createdAt": format_rfc3339(event.created_at), "receivedAt": format_rfc3339(event.received_at)}
    if event.correlation_id:
        body["correlationId"] = event.correlation_id
    return body | {"outcomes": event.outcomes, "links": [links.to("self", "v1", "audit", "events", event.id)]}
