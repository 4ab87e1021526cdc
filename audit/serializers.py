"""Executions and events as the audit API returns them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from flows.api.document_serializers import StepSchema
from flows.definition import read_outline
from flows.models import Event, Execution, ExecutionState
from flyte_site.http.input.fields import LinkSerializer
from flyte_site.http.output.links import Link
from flyte_site.http.output.serializers import (
    CountField,
    FlagField,
    LinksField,
    OutputContext,
    OutputSerializer,
    StringMapField,
    TimestampField,
)
from packs.hosted_status import serialize_phase
from packs.models import Action, ActionState


@dataclass(frozen=True)
class ExecutionRecord:
    """An execution with its actions, oldest first, and the steps of its flow version."""

    execution: Execution
    actions: Sequence[Action]
    steps: Sequence[Mapping[str, Any]]

    @property
    def description(self) -> str | None:
        description: str | None = self.execution.version.document.get("description")
        return description

    @property
    def labels(self) -> Mapping[str, str] | None:
        labels: Mapping[str, str] | None = self.execution.version.document.get("labels")
        return labels

    @property
    def actions_by_step(self) -> dict[str, Action]:
        return {action.step_id: action for action in self.actions}

    @property
    def is_cancelled(self) -> bool:
        return self.execution.state == ExecutionState.CANCELLED


def build_execution_records(
    executions: Sequence[Execution], actions: Mapping[str, Sequence[Action]]
) -> list[ExecutionRecord]:
    """Build the records of executions with their versions; `actions` by correlation id."""
    versions = {execution.version_id: execution.version for execution in executions}
    steps = {
        version_id: [{"id": step.id, **step.document} for step in read_outline(version.document).steps]
        for version_id, version in versions.items()
    }
    return [ExecutionRecord(execution, actions[execution.id], steps[execution.version_id]) for execution in executions]


class StateSchema(OutputSerializer):
    """A state and its start; a cancelled action has `FATAL` and `cancelled`."""

    value = serializers.ChoiceField(choices=["NEW", "PENDING", "SUCCESS", "FATAL"])
    time = TimestampField()
    cancelled = serializers.BooleanField(required=False)

    def render(self, instance: Mapping[str, str], context: OutputContext) -> dict[str, Any]:
        """Render CANCELLED as FATAL, which clients of the original know."""
        if instance["value"] != ActionState.CANCELLED:
            return self.render_document(instance, context)
        return self.render_document({**instance, "value": ActionState.FATAL, "cancelled": True}, context)


class PackSeenSchema(OutputSerializer):
    """The pack that sent an event."""

    id = serializers.CharField()
    name = serializers.CharField()
    labels = StringMapField(required=False)


class EventSchema(OutputSerializer):
    """An event: a trigger or a result."""

    event = serializers.CharField()
    pack = PackSeenSchema()
    payload = serializers.JSONField(required=False, allow_null=True)
    payloadBytes = CountField(help_text="Approximate size of the payload in bytes, if it is left out.")  # noqa: N815
    createdAt = TimestampField()  # noqa: N815
    receivedAt = TimestampField()  # noqa: N815


class AttemptSchema(OutputSerializer):
    """The result of an attempt that did not end the action: the action is retried, or the result was `late`."""

    attempt = serializers.IntegerField()
    packId = serializers.CharField(allow_blank=True)  # noqa: N815
    time = TimestampField()
    late = serializers.BooleanField(required=False)
    result = EventSchema()
    leaseEnded = serializers.BooleanField(required=False)  # noqa: N815


class WaitsForSchema(OutputSerializer):
    """The missing pack of an orphaned action: no registered pack has this name and the action's `packLabels`."""

    pack = serializers.CharField()
    orphaned = serializers.BooleanField()

    def compute(self, instance: Action, context: OutputContext) -> dict[str, Any] | None:
        is_orphaned = instance.id in context.values["orphan_ids"]
        return {"pack": instance.pack_name, "orphaned": True} if is_orphaned else None


class HostedSchema(OutputSerializer):
    """The status of an action at the service of a hosted pack."""

    phase = serializers.CharField()
    reason = serializers.CharField(required=False)
    failures = serializers.IntegerField(required=False)

    def compute(self, instance: Action, context: OutputContext) -> dict[str, Any] | None:
        resource = context.values["hosted"].get(instance.id)
        return serialize_phase(resource) if resource else None


class OmittedBytesField(CountField):
    """The size of a document of an action that is left out of the response."""

    def __init__(self, document: str) -> None:
        super().__init__(help_text="Approximate size in bytes, if it is left out.")
        self.document = document

    def compute(self, instance: Action, context: OutputContext) -> int:
        size: int = context.values["omitted_bytes"].get((instance.id, self.document), 0)
        return size


class ActionSchema(OutputSerializer):
    """An action: the command, its pack, its trigger and its result."""

    id = serializers.CharField()
    name = serializers.CharField()
    packName = serializers.CharField(source="pack_name")  # noqa: N815
    packLabels = StringMapField(source="pack_labels", required=False)  # noqa: N815
    context = StringMapField(required=False)  # type: ignore[assignment]
    contextBytes = OmittedBytesField("context")  # noqa: N815
    history = AttemptSchema(source="attempt_log", many=True, required=False)
    historyBytes = OmittedBytesField("attempt_log")  # noqa: N815
    input = serializers.JSONField(required=False)
    inputBytes = OmittedBytesField("input")  # noqa: N815
    state = StateSchema(source="latest_state")
    states = StateSchema(source="state_log", many=True)
    correlationId = serializers.CharField(source="correlation_id")  # noqa: N815
    flowName = serializers.CharField(source="flow_name")  # noqa: N815
    flowUUID = serializers.CharField(source="flow_uuid")  # noqa: N815
    stepId = serializers.CharField(source="step_id")  # noqa: N815
    trigger = EventSchema()
    waitsFor = WaitsForSchema(required=False)  # noqa: N815
    hosted = HostedSchema(required=False)
    result = EventSchema(required=False)


class StepErrorSchema(OutputSerializer):
    """A step that could not be evaluated: the error and its position in the flow and its template."""

    stepId = serializers.CharField()  # noqa: N815
    outcome = serializers.CharField()
    message = serializers.CharField(required=False)
    path = serializers.CharField(allow_blank=True)
    line = serializers.IntegerField()
    column = serializers.IntegerField()
    event = serializers.CharField()
    packName = serializers.CharField()  # noqa: N815
    time = TimestampField()


class ExecutionSchema(OutputSerializer):
    """One run of a flow: the steps of its flow version, and its actions by step id."""

    name = serializers.CharField(source="execution.flow_name")
    description = serializers.CharField(required=False)
    labels = StringMapField(required=False)
    uuid = serializers.CharField(source="execution.version_id")
    correlationId = serializers.CharField(source="execution.id")  # noqa: N815
    steps = StepSchema(many=True)
    actions = serializers.DictField(source="actions_by_step", child=ActionSchema())
    errors = StepErrorSchema(source="execution.errors", many=True, required=False)  # type: ignore[assignment]
    cancelled = FlagField(source="is_cancelled")
    replayOf = serializers.CharField(source="execution.replay_of", required=False)  # noqa: N815
    links = LinksField()

    def get_links(self, record: ExecutionRecord, context: OutputContext) -> list[Link]:
        return [context.links.to("self", "v1", "audit", "flows", record.execution.id)]


class ExecutionList(OutputSerializer):
    """A part of the executions."""

    flows = ExecutionSchema(many=True)
    links = LinkSerializer(many=True)


class StepOutcomeSchema(OutputSerializer):
    """The outcome of one step: `fired`, or the reason why it did not fire: `labels`, `criteria` or `error`."""

    stepId = serializers.CharField(allow_blank=True)  # noqa: N815
    outcome = serializers.ChoiceField(choices=["fired", "labels", "criteria", "error"])
    message = serializers.CharField(required=False)
    path = serializers.CharField(required=False, allow_blank=True)
    line = serializers.IntegerField(required=False)
    column = serializers.IntegerField(required=False)
    wanted = StringMapField(required=False)
    had = StringMapField(required=False)
    saw = StringMapField(
        required=False,
        help_text="Values that false criteria read: by expression, as JSON, truncated and redacted.",
    )
    warnings = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Probable mistakes in false criteria, such as a number that is compared with text.",
    )


class FlowOutcomeSchema(OutputSerializer):
    """The outcome of an event in one flow; with a correlation id if an execution started or continued."""

    flow = serializers.CharField()
    uuid = serializers.CharField()
    correlationId = serializers.CharField(required=False)  # noqa: N815
    steps = StepOutcomeSchema(many=True)


class EventOutcomesSchema(OutputSerializer):
    """An event with its outcome in each flow that listened; no outcomes if none did."""

    id = serializers.CharField()
    event = serializers.CharField(source="name")
    pack = PackSeenSchema(source="sender")
    payload = serializers.JSONField(required=False, allow_null=True)
    payloadBytes = CountField(  # noqa: N815
        source="payload_bytes",
        help_text="Size of the payload in bytes, if it is too large to be listed or stored.",
    )
    createdAt = TimestampField(source="created_at")  # noqa: N815
    receivedAt = TimestampField(source="received_at")  # noqa: N815
    correlationId = serializers.CharField(source="correlation_id", required=False)  # noqa: N815
    outcomes = FlowOutcomeSchema(many=True)
    links = LinksField()

    def get_links(self, event: Event, context: OutputContext) -> list[Link]:
        return [context.links.to("self", "v1", "audit", "events", event.id)]


class EventList(OutputSerializer):
    """A part of the events."""

    events = EventOutcomesSchema(many=True)
    links = LinkSerializer(many=True)
