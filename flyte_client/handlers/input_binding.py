"""Typed inputs: binding of an action's JSON input to a handler's annotation.

A handler whose parameter is annotated with a dataclass or a pydantic model, also inside `list[…]`, `… | None` and
similar types, gets an instance. With any other annotation, or none, it gets the JSON value unchanged. Pydantic is
never imported here: packs that use it import it themselves.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from flyte_client.handlers import coercion
from flyte_client.handlers.coercion import Coercer, mismatch_error
from flyte_formats.json_text import NestingError, parse_json

LIST_TYPES = (list, tuple, set, frozenset, Sequence)
MAPPING_TYPES = (dict, Mapping)
# Enough to see what is wrong without a very long message.
MAX_FIELD_ERRORS = 20


@dataclass(frozen=True)
class FieldError:
    """An error in an input; `path` is like `input.folders[2].name`. The value is left out because it may be secret."""

    path: str
    message: str


class InputError(ValueError):
    """An input that does not match the handler's annotation."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors[:MAX_FIELD_ERRORS])
        super().__init__("; ".join(f"{error.path}: {error.message}" for error in self.errors))


def build_input_binder(handler: Callable[..., Any]) -> Callable[[Any], Any]:
    """Build the function that converts the handler's input; that function raises `InputError`.

    Raises `TypeError` for an annotation that can't be resolved, or that is not supported for JSON values.
    """
    annotation = _get_annotation(handler)
    if not _contains_model(annotation):
        return lambda value: value
    coerce = CoercerFactory().get_coercer(annotation)

    def bind_input(value: Any) -> Any:
        try:
            return coerce(value)
        except ValueError as error:
            raise InputError(
                [FieldError(f"input{path}", message) for path, message in coercion.extract_errors(error)]
            ) from error

    return bind_input


def _get_annotation(handler: Callable[..., Any]) -> Any:
    try:
        parameter = next(iter(inspect.signature(handler).parameters.values()), None)
        if parameter is not None and isinstance(parameter.annotation, str):
            parameter = next(iter(inspect.signature(handler, eval_str=True).parameters.values()))
    except NameError as error:
        raise TypeError(f"can't resolve the annotation of {handler!r}: {error}") from None
    except ValueError:
        return Any  # a built-in without a signature
    return Any if parameter is None else parameter.annotation


def _contains_model(annotation: Any) -> bool:
    """Return True if the annotation contains a dataclass or a pydantic model."""
    return _is_model(annotation) or any(_contains_model(argument) for argument in get_args(annotation))


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and (is_dataclass(annotation) or hasattr(annotation, "model_validate"))


class CoercerFactory:
    """Factory that builds one coercer per type, so that types can be recursive."""

    def __init__(self) -> None:
        self._coercers: dict[Any, Coercer] = {}

    def get_coercer(self, target_type: Any) -> Coercer:
        """Return the coercer for a type. Raises `TypeError` for an unsupported type."""
        if target_type not in self._coercers:
            # Used by a recursive type until its coercer is built.
            self._coercers[target_type] = lambda value: self._coercers[target_type](value)
            self._coercers[target_type] = self._build(target_type)
        return self._coercers[target_type]

    def _build(self, target_type: Any) -> Coercer:
        if target_type in (Any, object):
            return lambda value: value
        origin = get_origin(target_type) or target_type
        if origin in (Union, UnionType):
            return self._build_union(get_args(target_type))
        if origin in LIST_TYPES:
            return self._build_list(origin, get_args(target_type))
        if origin in MAPPING_TYPES:
            return self._build_mapping(get_args(target_type))
        if origin is Literal:
            return coercion.build_choice_coercer(get_args(target_type))
        if isinstance(target_type, type):
            return self._build_for_class(target_type)
        if origin is Annotated:
            return self.get_coercer(get_args(target_type)[0])
        raise TypeError(f"unsupported input type {target_type!r}")

    def _build_for_class(self, target_type: type) -> Coercer:
        if hasattr(target_type, "model_validate"):
            return lambda value: target_type.model_validate(_parse_json_text(value))
        if is_dataclass(target_type):
            return self._build_dataclass(target_type)
        if issubclass(target_type, Enum):
            return coercion.build_choice_coercer([member.value for member in target_type], target_type)
        if target_type in (datetime, date):
            return coercion.build_date_coercer(target_type)
        scalar_coercers = {
            str: coercion.to_text,
            int: coercion.to_int,
            float: coercion.to_float,
            bool: coercion.to_bool,
        }
        if target_type in scalar_coercers:
            return scalar_coercers[target_type]
        if target_type is NoneType:
            return coercion.to_none
        raise TypeError(f"unsupported input type {target_type.__name__}")

    def _build_dataclass(self, dataclass_type: type) -> Coercer:
        hints = get_type_hints(dataclass_type)
        field_coercers = [
            (field, self.get_coercer(hints[field.name])) for field in fields(dataclass_type) if field.init
        ]

        def coerce(value: Any) -> Any:
            value = _parse_json_text(value)
            if not isinstance(value, dict):
                raise mismatch_error("must be an object", value)
            values: dict[str, Any] = {}
            errors = []
            for field, coerce_field in field_coercers:
                try:
                    values |= _coerce_field(field, coerce_field, value)
                except ValueError as error:
                    errors += [(f".{field.name}{path}", message) for path, message in coercion.extract_errors(error)]
            if errors:
                raise coercion.CoercionError(errors)
            return dataclass_type(**values)

        return coerce

    def _build_list(self, list_type: Any, arguments: Sequence[Any]) -> Coercer:
        if list_type is tuple and arguments[1:] not in ((), (...,)):
            raise TypeError("unsupported input type: a tuple of different types")
        coerce_item = self.get_coercer(arguments[0] if arguments else Any)
        factory = list if list_type is Sequence else list_type

        def coerce(value: Any) -> Any:
            value = _parse_json_text(value)
            if not isinstance(value, list):
                raise mismatch_error("must be a list", value)
            return factory(
                coercion.coerce_each(coerce_item, {f"[{index}]": item for index, item in enumerate(value)}).values()
            )

        return coerce

    def _build_mapping(self, arguments: Sequence[Any]) -> Coercer:
        if arguments and arguments[0] is not str:
            raise TypeError("unsupported input type: a mapping with keys other than str")
        coerce_item = self.get_coercer(arguments[1] if arguments else Any)

        def coerce(value: Any) -> Any:
            value = _parse_json_text(value)
            if not isinstance(value, dict):
                raise mismatch_error("must be an object", value)
            coerced = coercion.coerce_each(coerce_item, {f".{key}": item for key, item in value.items()})
            return dict(zip(value, coerced.values(), strict=True))

        return coerce

    def _build_union(self, members: Sequence[Any]) -> Coercer:
        readers = [(member, self.get_coercer(member)) for member in members if member is not NoneType]
        optional = NoneType in members

        def coerce(value: Any) -> Any:
            # A template without a value yields an empty text.
            if optional and (value is None or (value == "" and str not in members)):
                return None
            candidates = sorted(readers, key=lambda candidate: candidate[0] is not type(value))
            for _, coerce_member in candidates[:-1]:
                try:
                    return coerce_member(value)
                except ValueError:
                    continue
            return candidates[-1][1](value)

        return coerce


def _coerce_field(field: "Field[Any]", coerce: Coercer, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field's coerced value by its name, or an empty dict to use its default."""
    for key in (field.name, _to_camel_case(field.name)):
        if key in value:
            return {field.name: coerce(value[key])}
    if field.default is MISSING and field.default_factory is MISSING:
        raise ValueError("required")
    return {}


def _to_camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _parse_json_text(value: Any) -> Any:
    """Parse a text that holds a JSON object or list, as templates yield it; return other values unchanged.

    Raises `NestingError`.
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return parse_json(value)
        except NestingError:
            raise
        except ValueError:
            return value
    return value
