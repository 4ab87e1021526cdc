"""Output serializers, which declare the shape of a response once, for rendering and for the OpenAPI description."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import SkipField

from flyte_site.core.timestamps import format_rfc3339
from flyte_site.http.fields import LinkSerializer

EMPTY_VALUES: tuple[Any, ...] = ("", {}, [], ())


class OutputSerializer(serializers.Serializer[Any]):
    """An object of a response, with the fields in the order of their declaration.

    The instance is an object or a stored document, which is a mapping. Every key of a document is rendered. For an
    object, an optional field is left out if its value is None or an empty text, list or mapping. Empty text is rendered
    if the field allows it (`allow_blank`), and so is an empty value of a JSON field.
    """

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return self._render_document(instance) if isinstance(instance, Mapping) else self._render_object(instance)

    @cached_property
    def _named_fields(self) -> tuple[tuple[str, Any], ...]:
        return tuple(self.fields.items())  # the mapping itself is slow to iterate

    def _render_document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {}
        for name, field in self._named_fields:
            if name in document:
                value = document[name]
                body[name] = None if value is None else field.to_representation(value)
            elif isinstance(field, LinksField):
                body[name] = field.to_representation(document)
        return body

    def _render_object(self, instance: Any) -> dict[str, Any]:
        body: dict[str, Any] = {}
        for name, field in self._named_fields:
            try:
                value = field.get_attribute(instance)
            except SkipField:
                continue
            if value is None:
                if field.required:
                    body[name] = None
            elif field.required or not _is_empty(value, field):
                body[name] = field.to_representation(value)
        return body


class FlagField(serializers.BooleanField):
    """A boolean that is only rendered if it equals `rendered_value`."""

    def __init__(self, *, rendered_value: bool = True, **options: Any) -> None:
        super().__init__(required=False, **options)
        self.rendered_value = rendered_value


class CountField(serializers.IntegerField):
    """A number that is only rendered if it is not 0."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)


class TimestampField(serializers.DateTimeField):
    """A time as RFC 3339 text. Stored documents already contain it in this form."""

    def to_representation(self, value: Any) -> str:
        return value if isinstance(value, str) else format_rfc3339(value)


class StringMapField(serializers.DictField):
    """A mapping of names to text, rendered as stored."""

    def __init__(self, *, allow_null_values: bool = False, **options: Any) -> None:
        super().__init__(child=serializers.CharField(allow_null=allow_null_values), **options)

    def to_representation(self, value: Any) -> dict[str, Any]:
        return dict(value)


@extend_schema_field(LinkSerializer(many=True))
class LinksField(serializers.Field[Any, Any, Any, Any]):
    """The links of an object, from the method `get_links` of its serializer."""

    def get_attribute(self, instance: Any) -> Any:
        return instance

    def to_representation(self, value: Any) -> Any:
        serializer: Any = self.parent
        return serializer.get_links(value, self.context["links"])


def _is_empty(value: Any, field: Any) -> bool:
    if isinstance(field, FlagField):
        return value is not field.rendered_value
    if isinstance(field, CountField):
        return not value
    can_be_empty = isinstance(field, serializers.JSONField) or getattr(field, "allow_blank", False)
    return not can_be_empty and value in EMPTY_VALUES
