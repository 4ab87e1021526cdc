"""Flows and events on the wire."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flows.models import Flow
from flows.proposal import Proposal
from flyte_site.rest.documents import TEXT
from flyte_site.rest.fields import MAX_NAME, InputSerializer, LinkSerializer, Name
from flyte_site.rest.links import Links
from flyte_site.times import from_text

EVENT_TEXT_PLACES: dict[str, Any] = {"event": TEXT, "createdat": TEXT}


@extend_schema_field(OpenApiTypes.DATETIME)
class Moment(serializers.Field[Any, Any, Any, Any]):
    """A time as in RFC 3339."""

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return from_text(data if isinstance(data, str) else "")
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class AnyValue(serializers.JSONField):
    """Any JSON value. It was read from JSON or YAML, so that DRF need not try to write it as JSON."""

    def to_internal_value(self, data: Any) -> Any:
        return data


class EventInput(InputSerializer):
    """Something that happened: its name, and whatever the pack tells of it. Other keys are ignored."""

    event = Name()
    payload = AnyValue(required=False, allow_null=True, default=None)
    createdAt = Moment(required=False, allow_null=True, default=None)  # noqa: N815


def is_plain_event(document: Any) -> bool:
    """Whether this is an event as most packs send it, which `EventInput` would give back as it is: a name of printable
    characters, perhaps a payload, and nothing else."""
    if type(document) is not dict or not document.keys() <= {"event", "payload"}:
        return False
    name = document.get("event")
    return type(name) is str and 0 < len(name) <= MAX_NAME and name.isprintable()


class FlowSummary(serializers.Serializer[Any]):
    """A flow as lists show it."""

    name = serializers.CharField()
    description = serializers.CharField(required=False)
    enabled = serializers.BooleanField(required=False, help_text="Only there, and false, where the flow is disabled.")
    links = LinkSerializer(many=True)


class FlowList(serializers.Serializer[Any]):
    """A page of flows; a `next` link where there are more."""

    flows = FlowSummary(many=True)
    links = LinkSerializer(many=True)


class StepEventSchema(serializers.Serializer[Any]):
    """The event a step waits for; label values are templates."""

    name = serializers.CharField()
    packName = serializers.CharField()  # noqa: N815
    packLabels = serializers.DictField(child=serializers.CharField(), required=False)  # noqa: N815


class StepCommandSchema(StepEventSchema):
    """What a step gives to a pack; strings in the input, at any depth, are templates."""

    input = serializers.JSONField(required=False, allow_null=True)
    timeout = serializers.CharField(required=False)
    retries = serializers.IntegerField(required=False)
    backoff = serializers.FloatField(required=False)


class StepSchema(serializers.Serializer[Any]):
    """One step: event → criteria → command."""

    id = serializers.CharField(required=False)
    dependsOn = serializers.ListField(child=serializers.CharField(), required=False)  # noqa: N815
    dependsOnMode = serializers.ChoiceField(choices=["any", "all"], required=False)  # noqa: N815
    event = StepEventSchema()
    context = serializers.DictField(child=serializers.CharField(), required=False)  # type: ignore[assignment]
    criteria = serializers.CharField(required=False)
    command = StepCommandSchema()


class FlowInput(serializers.Serializer[Any]):
    """A flow document."""

    name = serializers.CharField(max_length=255)
    description = serializers.CharField(required=False)
    labels = serializers.DictField(child=serializers.CharField(), required=False)
    enabled = serializers.BooleanField(required=False)
    steps = StepSchema(many=True)


class FlowOutput(FlowInput):
    """A flow document with its links."""

    steps = StepSchema(many=True, required=False)
    links = LinkSerializer(many=True)


class FindingSchema(serializers.Serializer[Any]):
    """Something about one place of a flow or of what was given; line and column: inside a template."""

    path = serializers.CharField(allow_blank=True)
    message = serializers.CharField()
    line = serializers.IntegerField(required=False)
    column = serializers.IntegerField(required=False)


class ProposalSchema(serializers.Serializer[Any]):
    """What saving a flow would change: `version` is the one that it is on now, `diff` unified, of YAML documents."""

    name = serializers.CharField()
    change = serializers.ChoiceField(choices=["new", "changed", "same"])
    version = serializers.CharField(required=False)
    diff = serializers.CharField(required=False)
    warnings = FindingSchema(many=True)


class JudgedLabelsSchema(serializers.Serializer[Any]):
    """The labels that a step asks of the event's pack, and those that it has."""

    wanted = serializers.DictField(child=serializers.CharField())
    had = serializers.DictField(child=serializers.CharField())
    hold = serializers.BooleanField()


class JudgedCriteriaSchema(serializers.Serializer[Any]):
    """What a step's criteria gave, and what they looked up: by how the template says it, the value as JSON."""

    template = serializers.CharField()
    verdict = serializers.CharField(required=False)
    holds = serializers.BooleanField(required=False)
    saw = serializers.DictField(child=serializers.CharField())


class JudgedSchema(serializers.Serializer[Any]):
    """One look at a step, as far as it went. A text that could not be rendered is null, and stands under `errors`."""

    outcome = serializers.CharField(help_text="fired, labels, criteria, error or notReached")
    message = serializers.CharField(required=False)
    cause = serializers.CharField(required=False, help_text="The step whose result this one was judged by.")
    inherited = serializers.DictField(child=serializers.CharField(), required=False)
    context = serializers.DictField(  # type: ignore[assignment]
        child=serializers.CharField(allow_null=True), required=False
    )
    labels = JudgedLabelsSchema(required=False)
    criteria = JudgedCriteriaSchema(required=False)
    command = StepCommandSchema(required=False)
    errors = FindingSchema(many=True, required=False)  # type: ignore[assignment]


class TriedStepSchema(JudgedSchema):
    """What came of a step; `earlier` are the looks at it before the last one."""

    stepId = serializers.CharField()  # noqa: N815
    event = StepEventSchema()
    dependsOn = serializers.ListField(child=serializers.CharField(), required=False)  # noqa: N815
    dependsOnMode = serializers.ChoiceField(choices=["any", "all"], required=False)  # noqa: N815
    result = serializers.JSONField(required=False)
    earlier = JudgedSchema(many=True, required=False)


class DryRunSchema(serializers.Serializer[Any]):
    """What a flow would do. `starts`: whether an execution would begin. `eventMasked`: templates saw a masked event."""

    flow = serializers.CharField()
    event = serializers.JSONField()
    eventMasked = serializers.BooleanField()  # noqa: N815
    starts = serializers.BooleanField()
    steps = TriedStepSchema(many=True)
    notes = FindingSchema(many=True)
    warnings = FindingSchema(many=True)


class Replayed(serializers.Serializer[Any]):
    """The executions that a replayed event began."""

    correlationIds = serializers.ListField(child=serializers.CharField())  # noqa: N815
    links = LinkSerializer(many=True)


def proposed(proposal: Proposal) -> dict[str, Any]:
    """`ProposalSchema` of a text without errors."""
    checked = proposal.checked
    shown = {"name": checked.document.name if checked.document else "", "change": proposal.change}
    shown |= {key: text for key, text in (("version", proposal.version), ("diff", proposal.diff)) if text}
    warnings = [
        {"path": one.path, "message": one.message, "line": one.line, "column": one.column} for one in checked.findings
    ]
    return {**shown, "warnings": warnings}


def summary(flow: Flow, links: Links) -> dict[str, Any]:
    """`FlowSummary` of a flow."""
    shown: dict[str, Any] = {"name": flow.name}
    if flow.description:
        shown["description"] = flow.description
    if not flow.enabled:
        shown["enabled"] = False
    return shown | {"links": [links.to("self", "v1", "flows", flow.name)]}


def detail(flow: Flow, links: Links) -> dict[str, Any]:
    """`FlowOutput` of a flow: its document as it was posted, without what is empty."""
    document: Mapping[str, Any] = flow.version.document
    own = [links.to("self", "v1", "flows", flow.name), links.to("up", "v1", "flows"), links.help("#/flow")]
    return {**document, **({} if flow.enabled else {"enabled": False}), "links": own}
