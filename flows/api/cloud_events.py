"""CloudEvents 1.0 over HTTP: structured, binary and batched mode (the HTTP protocol binding, section 3).

An event's `type` is the event's name, its data is the payload, and `source` and `id` are its idempotency key.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from django.http import HttpRequest
from rest_framework import serializers

from flows.api.serializers import AnyJSONField, TimeField
from flows.engine.handle_event import MAX_IDEMPOTENCY_KEY_LENGTH
from flyte_site.http.content_types import JSON_TYPE, YAML_TYPES
from flyte_site.http.input.body import parse_body, parse_content_type, read_body, to_error_item
from flyte_site.http.input.fields import InputSerializer, NameField, StrictTextField, reject_control_characters
from flyte_site.http.input.parsing import DocumentError, decode_text, parse_json, parse_yaml
from flyte_site.http.problems import ErrorItem, Problem, invalid_input

EVENT_TYPE, BATCH_TYPE = "application/cloudevents+json", "application/cloudevents-batch+json"
TYPE_PREFIX = "application/cloudevents"
HEADER_PREFIX, META_PREFIX = "ce-", "HTTP_CE_"
REQUIRED_HEADERS = frozenset(META_PREFIX + name.upper() for name in ("specversion", "id", "source", "type"))
SPEC_VERSION = "1.0"
MAX_BATCH_EVENTS = 100
MAX_ATTRIBUTE_LENGTH = 2048


def require_version(value: str) -> None:
    if value != SPEC_VERSION:
        raise serializers.ValidationError(f"must be {SPEC_VERSION!r}, not {value[:20]!r}")


def reject_spaces(value: str) -> None:
    if any(character.isspace() for character in value):
        raise serializers.ValidationError("must not contain white space")


class AttributeField(StrictTextField):
    """A required attribute of a CloudEvent."""

    def __init__(self, **options: Any) -> None:
        missing = "required; must be a non-empty string"
        too_long = f"must have at most {MAX_ATTRIBUTE_LENGTH} characters"
        messages = {"required": missing, "blank": missing, "max_length": too_long}
        super().__init__(
            required=True,
            allow_blank=False,
            min_length=1,
            max_length=MAX_ATTRIBUTE_LENGTH,
            error_messages=messages,
            **options,
        )


class CloudEventInput(InputSerializer):
    """A CloudEvent in JSON. Other attributes are ignored."""

    specversion = AttributeField(validators=[require_version])
    id = AttributeField(validators=[reject_control_characters])
    source = AttributeField(validators=[reject_control_characters, reject_spaces])  # type: ignore[assignment]
    type = NameField()
    time = TimeField(required=False, allow_null=True, default=None)
    datacontenttype = StrictTextField()
    data = AnyJSONField(required=False, allow_null=True, default=None)  # type: ignore[assignment]
    data_base64 = StrictTextField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("data_base64"):
            return attrs
        if attrs["data"] is not None:
            raise serializers.ValidationError({"data_base64": ["excludes data"]})
        try:
            data = base64.b64decode(attrs["data_base64"], validate=True)
        except (binascii.Error, ValueError):
            raise serializers.ValidationError({"data_base64": ["invalid Base64"]}) from None
        try:
            return attrs | {"data": parse_data(data, attrs.get("datacontenttype", ""), {})}
        except DocumentError as error:
            raise serializers.ValidationError({"data_base64": [error.message]}) from None


CLOUD_EVENT_SERIALIZER = CloudEventInput()


@dataclass(frozen=True)
class CloudEvent:
    """The parts of a CloudEvent that Flyte uses."""

    name: str
    payload: Any
    created_at: Any
    source: str
    id: str

    @property
    def key(self) -> str:
        """The idempotency key: source and id, or their hash if they are long."""
        key = f"{self.source} {self.id}"
        return key if len(key) <= MAX_IDEMPOTENCY_KEY_LENGTH else hashlib.sha256(key.encode()).hexdigest()

    @property
    def digest(self) -> str:
        """The hash of the content, which is the same in each mode."""
        text = json.dumps([self.name, self.payload, str(self.created_at)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_cloud_events(request: HttpRequest) -> list[CloudEvent]:
    """Read the CloudEvents of a request. Raises `Problem` 400 with the errors of all of them."""
    content_type = parse_content_type(request)[0]
    if content_type == BATCH_TYPE:
        return _read_batch(parse_body(request))
    if content_type == EVENT_TYPE:
        return [_build_event(CLOUD_EVENT_SERIALIZER.parse_values(parse_body(request)))]
    if content_type.startswith(TYPE_PREFIX):
        message = f"unsupported format {content_type[:60]!r}; use {EVENT_TYPE} or {BATCH_TYPE}"
        raise invalid_input({"path": "Content-Type", "message": message})
    return [_read_binary_mode(request)]


def _read_batch(documents: Any) -> list[CloudEvent]:
    if not isinstance(documents, list):
        raise invalid_input({"path": "", "message": "must be a list of events"})
    if len(documents) > MAX_BATCH_EVENTS:
        message = f"must have at most {MAX_BATCH_EVENTS} events, not {len(documents)}"
        raise invalid_input({"path": "", "message": message})
    events: list[CloudEvent] = []
    errors: list[ErrorItem] = []
    for index, document in enumerate(documents):
        try:
            events.append(_build_event(CLOUD_EVENT_SERIALIZER.parse_values(document)))
        except Problem as problem:
            errors += [{**error, "path": f"[{index}].{error['path']}".rstrip(".")} for error in problem.errors or []]
    if errors:
        raise invalid_input(*errors)
    return events


def _read_binary_mode(request: HttpRequest) -> CloudEvent:
    """Read an event whose attributes are in headers, percent-encoded, and whose body is its data."""
    attributes = {
        name.removeprefix(META_PREFIX).lower(): unquote(value)
        for name, value in request.META.items()
        if name.startswith(META_PREFIX) and isinstance(value, str)
    }
    attributes.pop("data", None)
    attributes.pop("data_base64", None)
    try:
        values = CLOUD_EVENT_SERIALIZER.parse_values(attributes)
    except Problem as problem:
        errors: list[ErrorItem] = [
            {**error, "path": f"{HEADER_PREFIX}{error['path']}"} for error in problem.errors or []
        ]
        raise invalid_input(*errors) from None
    content_type, parameters = parse_content_type(request)
    try:
        payload = parse_data(read_body(request), content_type, parameters)
    except DocumentError as error:
        raise invalid_input(to_error_item(error)) from None
    return _build_event(values | {"data": payload})


def parse_data(data: bytes, content_type: str, parameters: Mapping[str, str]) -> Any:
    """Parse data of a content type: JSON and YAML as values, text as text, anything else as Base64. Without a type it
    is JSON. Raises `DocumentError`.
    """
    content_type = content_type.partition(";")[0].strip().lower()
    is_json = not content_type or content_type == JSON_TYPE or content_type.endswith("+json")
    if not is_json and content_type not in YAML_TYPES and not content_type.startswith("text/"):
        return base64.b64encode(data).decode() if data else None
    text = decode_text(data, parameters.get("charset", "utf-8")).removeprefix("\ufeff")
    if not text.strip() and not content_type.startswith("text/"):
        return None
    if is_json:
        return parse_json(text)
    return parse_yaml(text) if content_type in YAML_TYPES else text


def _build_event(values: Mapping[str, Any]) -> CloudEvent:
    return CloudEvent(values["type"], values["data"], values["time"], values["source"], values["id"])
