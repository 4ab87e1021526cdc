"""Fields and base class of input serializers: strict JSON types, and keys in any case, as in the original server."""

from collections.abc import Iterator, Mapping
from typing import Any

from rest_framework import serializers

from flyte_formats.characters import has_control_characters
from flyte_site.http.problems import ErrorItem, invalid_input

MAX_NAME_LENGTH = 255
MISSING_NAME = "required; must be a non-empty string"


def reject_control_characters(value: str) -> None:
    if has_control_characters(value):
        raise serializers.ValidationError("must not contain control characters")


class StrictTextField(serializers.CharField):
    """A string field without conversion from other types. null counts as empty, as in the original server."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_blank", True)
        options.setdefault("required", False)
        options.setdefault("trim_whitespace", False)
        super().__init__(**options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation("" if data is None else data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("must be a string")
        return data


class NameField(StrictTextField):
    """A required, non-empty string of at most 255 characters, without control characters."""

    def __init__(self, **options: Any) -> None:
        messages = {"max_length": f"must have at most {MAX_NAME_LENGTH} characters", "blank": MISSING_NAME}
        options.setdefault("required", True)
        options |= {"min_length": 1, "allow_blank": False}
        super().__init__(
            max_length=MAX_NAME_LENGTH, validators=[reject_control_characters], error_messages=messages, **options
        )

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation("" if data is serializers.empty else data)


class LabelsField(serializers.DictField):
    """A mapping of label names to label values."""

    child = StrictTextField(validators=[reject_control_characters])
    default_error_messages = {"not_a_dict": "must be an object that maps names to strings"}

    def run_child_validation(self, data: Mapping[str, Any]) -> Any:
        for name in data:
            reject_control_characters(name)
        return super().run_child_validation(data)


class ListInputField(serializers.ListField):
    """A list; another type gets an error in the API's words."""

    default_error_messages = {"not_a_list": "must be a list"}


class InputSerializer(serializers.Serializer[Any]):
    """A serializer that accepts the keys of a JSON object in any case, like the original server."""

    default_error_messages = {"invalid": "must be an object"}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation(normalize_keys(data, self.fields) if isinstance(data, Mapping) else data)

    def parse_values(self, data: Any) -> dict[str, Any]:
        """Validate the data and return the values. Raises `Problem` 400 with every error and its path.

        DRF calls a method `validate_x` for each field `x`, so this method has another name.
        """
        if not isinstance(data, Mapping):
            raise invalid_input({"path": "", "message": "must be an object"})
        try:
            return dict(self.run_validation(data))
        except serializers.ValidationError as error:
            raise invalid_input(*flatten_errors(error.detail)) from None


def normalize_keys(data: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Rename known keys to the case of the field; the last of several spellings counts."""
    spelling = {name.lower(): name for name in fields}
    return {spelling.get(key.lower(), key): value for key, value in data.items()}


def flatten_errors(errors: Any, path: str = "") -> Iterator[ErrorItem]:
    """Flatten DRF's nested errors to items with paths, e.g. `commands[0].name`."""
    if isinstance(errors, Mapping):
        for key, inner in errors.items():
            inner_path = (
                path
                if key == "non_field_errors"
                else f"{path}[{key}]"
                if isinstance(key, int)
                else _join_path(path, key)
            )
            yield from flatten_errors(inner, inner_path)
    elif isinstance(errors, list) and any(isinstance(inner, Mapping) for inner in errors):
        for index, inner in enumerate(errors):
            yield from flatten_errors(inner, f"{path}[{index}]")
    else:
        for message in errors:
            yield {"path": path, "message": str(message)}


def _join_path(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


class ProblemSerializer(serializers.Serializer[Any]):
    """The body of every error response (RFC 9457)."""

    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = serializers.ListField(child=serializers.DictField(), required=False)  # type: ignore[assignment]


PROBLEM_MEDIA_TYPE = "application/problem+json"


def problem_responses(*statuses: int) -> dict[tuple[int, str], type[ProblemSerializer]]:
    """Declare error responses of one operation; `openapi.COMMON_RESPONSES` has those of all operations."""
    return {(status, PROBLEM_MEDIA_TYPE): ProblemSerializer for status in statuses}


class LinkSerializer(serializers.Serializer[Any]):
    """A link. The server's own links have both fields; a pack can declare links without one."""

    href = serializers.CharField(required=False)
    rel = serializers.CharField(required=False)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return dict(instance)
