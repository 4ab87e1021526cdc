"""Output serializers, which declare the shape of a response once, for rendering and for the OpenAPI description.

Each class is instantiated once, and its fields are compiled to plain functions. DRF's own rendering copies the fields
for each request, and takes several times as long.
"""

from collections.abc import Callable, Mapping
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, NamedTuple

from django.core.exceptions import ObjectDoesNotExist
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flyte_site.core.timestamps import format_rfc3339
from flyte_site.http.input.fields import LinkSerializer
from flyte_site.http.output.links import LinkBuilder

EMPTY_VALUES: tuple[Any, ...] = ("", {}, [], ())


class OutputContext(NamedTuple):
    """Values of the request for fields that depend on more than the instance."""

    links: LinkBuilder
    values: Mapping[str, Any] = {}


Render = Callable[[Any, OutputContext], Any]


class CompiledField(NamedTuple):
    """Functions for one field of an object.

    `read` takes the instance; `compute` replaces it for a field that needs the context. `is_omitted` and `render` take
    the value. `render` is None for a value that JSON can represent as it is.
    """

    name: str
    read: Callable[[Any], Any]
    compute: Render | None
    is_omitted: Callable[[Any], bool] | None
    render: Render | None


SerializerFactory = Callable[[], serializers.BaseSerializer[Any]]


def render_output(serializer_class: SerializerFactory, instance: Any, context: OutputContext) -> Any:
    """Render an instance with the serializer that describes the response."""
    render = _compile_class(serializer_class)
    return render(instance, context) if render else instance


@extend_schema_field(LinkSerializer(many=True))
class LinksField(serializers.Field[Any, Any, Any, Any]):
    """The links of an object, from the method `get_links` of its serializer."""

    def compute(self, instance: Any, context: OutputContext) -> Any:
        serializer: Any = self.parent
        return serializer.get_links(instance, context)


class OutputSerializer(serializers.Serializer[Any]):
    """An object of a response, with the fields in the order of their declaration.

    The instance is an object or a stored document, which is a mapping. Every key of a document is rendered. For an
    object, an optional field is left out if its value is None or an empty text, list or mapping. Empty text is rendered
    if the field allows it (`allow_blank`), and so is an empty value of a JSON field.

    A value must have the type that its field describes: text, numbers and booleans are not converted. A field with a
    method `compute(instance, context)` renders the method's result in place of an attribute.
    """

    def render(self, instance: Any, context: OutputContext) -> dict[str, Any]:
        # The first check is only for speed.
        is_document = type(instance) is dict or isinstance(instance, Mapping)
        return self.render_document(instance, context) if is_document else self.render_object(instance, context)

    @cached_property
    def _object_fields(self) -> tuple[CompiledField, ...]:
        return tuple(compile_field(name, field) for name, field in self.fields.items())

    @cached_property
    def _document_names(self) -> tuple[str, ...]:
        return tuple(name for name, field in self.fields.items() if not isinstance(field, LinksField))

    @cached_property
    def _rendered_keys(self) -> tuple[tuple[str, Render], ...]:
        """The keys of a document whose values are not rendered as they are stored. Times are stored as text."""
        names = [name for name in self._document_names if not isinstance(self.fields[name], TimestampField)]
        compiled = [(name, compile_render(self.fields[name])) for name in names]
        return tuple((name, render) for name, render in compiled if render)

    @cached_property
    def _links_field(self) -> LinksField | None:
        return next((field for field in self.fields.values() if isinstance(field, LinksField)), None)

    def render_document(self, document: Mapping[str, Any], context: OutputContext) -> dict[str, Any]:
        body = {name: document[name] for name in self._document_names if name in document}
        for name, render in self._rendered_keys:
            value = body.get(name)
            if value is not None:
                body[name] = render(value, context)
        if self._links_field:
            body["links"] = self._links_field.compute(document, context)
        return body

    def render_object(self, instance: Any, context: OutputContext) -> dict[str, Any]:
        body: dict[str, Any] = {}
        for name, read, compute, is_omitted, render in self._object_fields:
            value = read(instance) if compute is None else compute(instance, context)
            if value is None:
                if is_omitted is None:
                    body[name] = None
            elif is_omitted is None or not is_omitted(value):
                body[name] = value if render is None else render(value, context)
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
    """A time as RFC 3339 text, in which documents already contain it."""

    def render(self, value: Any, _: OutputContext) -> str:
        return format_rfc3339(value)


class StringMapField(serializers.DictField):
    """A mapping of names to text, rendered as stored."""

    def __init__(self, *, allow_null_values: bool = False, **options: Any) -> None:
        super().__init__(child=serializers.CharField(allow_null=allow_null_values), **options)


@cache
def _compile_class(serializer_class: SerializerFactory) -> Render | None:
    """Compile the rendering with an instance of the class, which all responses share. It has no context."""
    return compile_render(serializer_class())


def compile_field(name: str, field: Any) -> CompiledField:
    """Compile a field for objects."""
    compute, is_omitted = getattr(field, "compute", None), None if field.required else _compile_is_omitted(field)
    # Links are complete; other computed values are rendered by their field.
    render = None if isinstance(field, LinksField) else compile_render(field)
    return CompiledField(name, _compile_read(field), compute, is_omitted, render)


def compile_render(field: Any) -> Render | None:
    """Compile the rendering of a field's value; None if the value is rendered as it is."""
    render: Render | None = getattr(field, "render", None)
    if render is not None:
        return render
    if isinstance(field, serializers.ListSerializer | serializers.ListField):
        return _compile_list(compile_render(field.child))
    if isinstance(field, serializers.DictField):
        return _compile_mapping(compile_render(field.child))
    if isinstance(field, serializers.BaseSerializer):
        return lambda value, _: field.to_representation(value)
    return None


def _compile_list(render: Render | None) -> Render | None:
    return render and (lambda values, context: [render(value, context) for value in values])


def _compile_mapping(render: Render | None) -> Render | None:
    return render and (lambda values, context: {name: render(value, context) for name, value in values.items()})


def _compile_read(field: Any) -> Callable[[Any], Any]:
    """Compile the access to an attribute of an instance; None if an object on the way to an optional one is missing."""
    read: Callable[[Any], Any] = attrgetter(field.source)
    if field.required or "." not in field.source:
        return read

    def read_optional(instance: Any) -> Any:
        try:
            return read(instance)
        except (AttributeError, ObjectDoesNotExist):
            return None

    return read_optional


def _compile_is_omitted(field: Any) -> Callable[[Any], bool]:
    """Compile the check that the value of an optional field is left out."""
    if isinstance(field, FlagField):
        rendered_value = field.rendered_value
        return lambda value: value is not rendered_value
    if isinstance(field, CountField):
        return lambda value: not value
    if isinstance(field, serializers.JSONField) or getattr(field, "allow_blank", False):
        return lambda value: False
    return lambda value: not value and value in EMPTY_VALUES
