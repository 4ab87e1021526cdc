"""Flow documents in requests and responses; `flows.definition.document` defines their keys."""

from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from flows.definition.document import COMMAND, EVENT, FLOW, STEP, DocumentObject, Schema
from flows.models import Flow
from flyte_site.http.output.links import Link
from flyte_site.http.output.serializers import LinksField, OutputContext


class DocumentSerializer(serializers.Serializer[Any]):
    """An object of a flow document, rendered as it is stored. `absent_keys` can be missing in it, although required."""

    part: ClassVar[DocumentObject]
    absent_keys: ClassVar[tuple[str, ...]] = ()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return dict(instance)


class StepEventSchema(DocumentSerializer):
    """The event that a step waits for; label values are templates."""

    part = EVENT


class StepCommandSchema(DocumentSerializer):
    """The command that a step sends to a pack; every string in the input is a template."""

    part = COMMAND


class StepSchema(DocumentSerializer):
    """A step: event, criteria, command."""

    part = STEP


class FlowInput(DocumentSerializer):
    """A flow document."""

    part = FLOW


class FlowOutput(DocumentSerializer):
    """A flow document with its links."""

    part = FLOW
    absent_keys = ("steps",)
    links = LinksField()

    def get_links(self, flow: Flow, context: OutputContext) -> list[Link]:
        return [
            context.links.to("self", "v1", "flows", flow.name),
            context.links.to("up", "v1", "flows"),
            context.links.help("#/flow"),
        ]

    def render(self, flow: Flow, context: OutputContext) -> dict[str, Any]:
        body = self.to_representation(flow.version.document)
        if not flow.enabled:
            body["enabled"] = False
        return body | {"links": self.get_links(flow, context)}


NESTED_SERIALIZERS: dict[str, type[DocumentSerializer]] = {
    STEP.name: StepSchema,
    EVENT.name: StepEventSchema,
    COMMAND.name: StepCommandSchema,
}


class DocumentSerializerExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """The OpenAPI schemas of these serializers, for drf-spectacular."""

    target_class = DocumentSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        part, absent_keys = self.target.part, self.target.absent_keys
        schema: dict[str, Any] = auto_schema._map_basic_serializer(self.target, direction)  # type: ignore[no-untyped-call]
        properties = {key.name: _build_property(key.schema, auto_schema, direction) for key in part.keys}
        for key in part.keys:
            described = properties[key.name]
            if "$ref" in described:
                properties[key.name] = {"allOf": [described], "description": key.description}
            else:
                described["description"] = key.description
        required = [key.name for key in part.keys if key.is_required and key.name not in absent_keys]
        schema["properties"] = {**properties, **schema.get("properties", {})}
        schema["required"] = sorted({*required, *schema.get("required", [])})
        return schema


def _build_property(schema: Schema, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
    if part := schema.get("object"):
        reference: dict[str, Any] = auto_schema.resolve_serializer(NESTED_SERIALIZERS[part.name], direction).ref
        return reference
    built = dict(schema) or {"nullable": True}
    if "items" in schema:
        built["items"] = _build_property(schema["items"], auto_schema, direction)
    return built
