"""Serializers of flows, events and dry runs."""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flows.api.document_serializers import StepCommandSchema, StepEventSchema
from flows.models import Flow
from flyte_site.http.input.fields import InputSerializer, LinkSerializer, NameField
from flyte_site.http.input.parsing import STRING
from flyte_site.http.output.links import Link
from flyte_site.http.output.serializers import FlagField, LinksField, OutputContext, OutputSerializer, StringMapField
from flyte_time.times import parse_time

EVENT_TEXT_FIELDS: dict[str, Any] = {"event": STRING, "createdat": STRING}


@extend_schema_field(OpenApiTypes.DATETIME)
class TimeField(serializers.Field[Any, Any, Any, Any]):
    """A time as text or number, in any format that `flyte_time.times` reads."""

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return parse_time(data).astimezone(UTC)
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
    createdAt = TimeField(required=False, allow_null=True, default=None)  # noqa: N815


class FlowSummary(OutputSerializer):
    """A flow of the list."""

    name = serializers.CharField()
    description = serializers.CharField(required=False)
    enabled = FlagField(rendered_value=False, help_text="False for disabled flows, otherwise omitted.")
    links = LinksField()

    def get_links(self, flow: Flow, context: OutputContext) -> list[Link]:
        return [context.links.to("self", "v1", "flows", flow.name)]


class FlowList(OutputSerializer):
    """A page of flows, with a `next` link if there are more."""

    flows = FlowSummary(many=True)
    links = LinkSerializer(many=True)


class FlowIssueSchema(OutputSerializer):
    """An error or a warning about a part of a flow or of the request, with the line and column in its template."""

    path = serializers.CharField(allow_blank=True)
    message = serializers.CharField()
    line = serializers.IntegerField(required=False)
    column = serializers.IntegerField(required=False)


class SavePlanSchema(OutputSerializer):
    """The changes that saving a flow would make: its current `version`, and a unified `diff` of the YAML documents."""

    name = serializers.CharField(source="report.definition.name")
    change = serializers.ChoiceField(choices=["new", "changed", "same"])
    version = serializers.CharField(required=False)
    diff = serializers.CharField(required=False)
    warnings = FlowIssueSchema(source="report.issues", many=True)


class LabelCheckSchema(OutputSerializer):
    """The labels that a step requires of the event's pack, and the labels of that pack."""

    wanted = StringMapField()
    had = StringMapField()
    hold = serializers.BooleanField()


class CriteriaEvaluationSchema(OutputSerializer):
    """The result of a step's criteria, and the values that they read: by expression, as JSON."""

    template = serializers.CharField()
    saw = StringMapField()
    verdict = serializers.CharField(required=False)
    holds = serializers.BooleanField(required=False)


class StepEvaluationSchema(OutputSerializer):
    """One evaluation of a step. A text that could not be rendered is null and has an entry in `errors`.

    `warnings` are probable mistakes that depend on the values, such as a number that is compared with text.
    """

    outcome = serializers.CharField(help_text="fired, labels, criteria, error or notReached")
    message = serializers.CharField(required=False)
    cause = serializers.CharField(required=False, help_text="The step whose result triggered this evaluation.")
    inherited = StringMapField(required=False)
    context = StringMapField(allow_null_values=True, required=False)  # type: ignore[assignment]
    labels = LabelCheckSchema(required=False)
    criteria = CriteriaEvaluationSchema(required=False)
    command = StepCommandSchema(required=False)
    errors = FlowIssueSchema(many=True, required=False)  # type: ignore[assignment]
    warnings = FlowIssueSchema(many=True, required=False)


class StepReferenceSchema(OutputSerializer):
    """The step that an evaluation is about."""

    stepId = serializers.CharField()  # noqa: N815


class DryRunStepSchema(StepReferenceSchema, StepEvaluationSchema):
    """The outcome of a step: its last evaluation, with the `earlier` ones."""

    earlier = StepEvaluationSchema(many=True, required=False)
    event = StepEventSchema()
    dependsOn = serializers.ListField(child=serializers.CharField(), required=False)  # noqa: N815
    dependsOnMode = serializers.ChoiceField(choices=["any", "all"], required=False)  # noqa: N815
    result = serializers.JSONField(required=False)


class DryRunSchema(OutputSerializer):
    """The result of a dry run. `starts`: an execution would start; `eventMasked`: the event had masked values."""

    flow = serializers.CharField()
    event = serializers.JSONField()
    starts = serializers.BooleanField()
    steps = DryRunStepSchema(many=True)
    notes = FlowIssueSchema(many=True)
    eventMasked = serializers.BooleanField()  # noqa: N815
    warnings = FlowIssueSchema(many=True)


class ReplayOutput(OutputSerializer):
    """The executions that a replayed event started."""

    correlationIds = serializers.ListField(child=serializers.CharField())  # noqa: N815
    links = LinkSerializer(many=True)
