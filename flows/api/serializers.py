"""Serializers of flows, events and dry runs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flows.api.document_serializers import StepCommandSchema, StepEventSchema
from flows.definition.plan import SavePlan
from flows.models import Flow
from flyte_site.core.timestamps import parse_rfc3339
from flyte_site.http.fields import MAX_NAME_LENGTH, InputSerializer, LinkSerializer, NameField
from flyte_site.http.links import LinkBuilder
from flyte_site.http.parsing import STRING

EVENT_TEXT_FIELDS: dict[str, Any] = {"event": STRING, "createdat": STRING}


@extend_schema_field(OpenApiTypes.DATETIME)
class RFC3339Field(serializers.Field[Any, Any, Any, Any]):
    """A time in RFC 3339."""

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return parse_rfc3339(data if isinstance(data, str) else "")
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class AnyJSONField(serializers.JSONField):
    """Any JSON value. It comes from parsed JSON or YAML, so DRF need not check that it is serializable."""

    def to_internal_value(self, data: Any) -> Any:
        return data


class EventInput(InputSerializer):
    """An event: its name and payload. Other keys are ignored."""

    event = NameField()
    payload = AnyJSONField(required=False, allow_null=True, default=None)
    createdAt = RFC3339Field(required=False, allow_null=True, default=None)  # noqa: N815


def is_minimal_event(data: Any) -> bool:
    """Return whether the value is an event that `EventInput` would return unchanged: a printable name and perhaps a
    payload.

    Most packs send such events; skipping the serializer saves time.
    """
    if type(data) is not dict or not data.keys() <= {"event", "payload"}:
        return False
    name = data.get("event")
    return type(name) is str and 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable()


class FlowSummary(serializers.Serializer[Any]):
    """A flow in lists."""

    name = serializers.CharField()
    description = serializers.CharField(required=False)
    enabled = serializers.BooleanField(required=False, help_text="Only present, and false, if the flow is disabled.")
    links = LinkSerializer(many=True)


class FlowList(serializers.Serializer[Any]):
    """A page of flows, with a `next` link if there are more."""

    flows = FlowSummary(many=True)
    links = LinkSerializer(many=True)


class FlowIssueSchema(serializers.Serializer[Any]):
    """An error or warning at a path of a flow or of the input; line and column: inside a template."""

    path = serializers.CharField(allow_blank=True)
    message = serializers.CharField()
    line = serializers.IntegerField(required=False)
    column = serializers.IntegerField(required=False)


class SavePlanSchema(serializers.Serializer[Any]):
    """The changes that saving a flow would make: `version` is its current version, `diff` unified, of YAML
    documents.
    """

    name = serializers.CharField()
    change = serializers.ChoiceField(choices=["new", "changed", "same"])
    version = serializers.CharField(required=False)
    diff = serializers.CharField(required=False)
    warnings = FlowIssueSchema(many=True)


class LabelCheckSchema(serializers.Serializer[Any]):
    """The labels that a step requires of the event's pack, and the pack's labels."""

    wanted = serializers.DictField(child=serializers.CharField())
    had = serializers.DictField(child=serializers.CharField())
    hold = serializers.BooleanField()


class CriteriaEvaluationSchema(serializers.Serializer[Any]):
    """The result of a step's criteria, and the values they read, as JSON by expression."""

    template = serializers.CharField()
    verdict = serializers.CharField(required=False)
    holds = serializers.BooleanField(required=False)
    saw = serializers.DictField(child=serializers.CharField())


class StepEvaluationSchema(serializers.Serializer[Any]):
    """One evaluation of a step. A text that could not be rendered is null, and listed under `errors`."""

    outcome = serializers.CharField(help_text="fired, labels, criteria, error or notReached")
    message = serializers.CharField(required=False)
    cause = serializers.CharField(required=False, help_text="The step on whose result this step was evaluated.")
    inherited = serializers.DictField(child=serializers.CharField(), required=False)
    context = serializers.DictField(  # type: ignore[assignment]
        child=serializers.CharField(allow_null=True), required=False
    )
    labels = LabelCheckSchema(required=False)
    criteria = CriteriaEvaluationSchema(required=False)
    command = StepCommandSchema(required=False)
    errors = FlowIssueSchema(many=True, required=False)  # type: ignore[assignment]


class DryRunStepSchema(StepEvaluationSchema):
    """The outcome of a step; `earlier` are its evaluations before the last one."""

    stepId = serializers.CharField()  # noqa: N815
    event = StepEventSchema()
    dependsOn = serializers.ListField(child=serializers.CharField(), required=False)  # noqa: N815
    dependsOnMode = serializers.ChoiceField(choices=["any", "all"], required=False)  # noqa: N815
    result = serializers.JSONField(required=False)
    earlier = StepEvaluationSchema(many=True, required=False)


class DryRunSchema(serializers.Serializer[Any]):
    """The effects that an event would have. `starts`: an execution would start. `eventMasked`: templates saw a
    redacted event.
    """

    flow = serializers.CharField()
    event = serializers.JSONField()
    eventMasked = serializers.BooleanField()  # noqa: N815
    starts = serializers.BooleanField()
    steps = DryRunStepSchema(many=True)
    notes = FlowIssueSchema(many=True)
    warnings = FlowIssueSchema(many=True)


class ReplayOutput(serializers.Serializer[Any]):
    """The executions that a replayed event started."""

    correlationIds = serializers.ListField(child=serializers.CharField())  # noqa: N815
    links = LinkSerializer(many=True)


def serialize_plan(plan: SavePlan) -> dict[str, Any]:
    """Return `SavePlanSchema` data of a text without errors."""
    report = plan.report
    data = {"name": report.definition.name if report.definition else "", "change": plan.change}
    data |= {key: text for key, text in (("version", plan.version), ("diff", plan.diff)) if text}
    warnings = [
        {"path": issue.path, "message": issue.message, "line": issue.line, "column": issue.column}
        for issue in report.issues
    ]
    return {**data, "warnings": warnings}


def serialize_flow_summary(flow: Flow, links: LinkBuilder) -> dict[str, Any]:
    """Return `FlowSummary` data of a flow."""
    data: dict[str, Any] = {"name": flow.name}
    if flow.description:
        data["description"] = flow.description
    if not flow.enabled:
        data["enabled"] = False
    return data | {"links": [links.to("self", "v1", "flows", flow.name)]}


def serialize_flow(flow: Flow, links: LinkBuilder) -> dict[str, Any]:
    """Return `FlowOutput` data of a flow: its document as posted, without empty values."""
    document: Mapping[str, Any] = flow.version.document
    flow_links = [links.to("self", "v1", "flows", flow.name), links.to("up", "v1", "flows"), links.help("#/flow")]
    return {**document, **({} if flow.enabled else {"enabled": False}), "links": flow_links}
