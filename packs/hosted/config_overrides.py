"""Overrides of configuration fields by their dotted JSON names, e.g. `caching.resyncInterval`."""

import dataclasses
import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from flyte_time.durations import parse_duration

C = TypeVar("C")
TRUE, FALSE = ("true", "1"), ("false", "0")


class ConfigField(NamedTuple):
    """A configurable field: its dotted name, its type in words, and its default."""

    name: str
    type_name: str
    default: Any


def to_json_name(name: str) -> str:
    """Convert `resync_interval` to `resyncInterval`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def iter_config_fields(config: Any, prefix: str = "") -> Iterator[ConfigField]:
    """Yield all configurable fields in order; `<name>` is a placeholder for a key of a map."""
    hints = get_type_hints(type(config))
    for field in _settable_fields(config):
        name, value = prefix + to_json_name(field.name), getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from iter_config_fields(value, f"{name}.")
        else:
            yield from _iter_leaf_fields(name, hints[field.name], value)


def _iter_leaf_fields(name: str, hint: Any, value: Any) -> Iterator[ConfigField]:
    value_type = _map_value_type(hint)
    if dataclasses.is_dataclass(value_type) and isinstance(value_type, type):
        yield from iter_config_fields(value_type(), f"{name}.<name>.")
    elif value_type is not None:
        yield ConfigField(f"{name}.<name>", _describe_type(value_type), value)
    else:
        yield ConfigField(name, _describe_type(hint), value)


def _settable_fields(config: Any) -> list["dataclasses.Field[Any]"]:
    return [field for field in dataclasses.fields(config) if field.name != "resource_meta"]


def with_override(config: C, path: Sequence[str], text: str) -> C:
    """Return the configuration with the field at `path` set to the parsed `text`. Raise `ValueError`."""
    fields_by_json_name = {to_json_name(field.name): field.name for field in _settable_fields(config)}
    if not path:
        raise ValueError(f"is a section; append one of its fields: {', '.join(fields_by_json_name)}")
    if path[0] not in fields_by_json_name:
        raise ValueError(f"unknown field {'.'.join(path)!r}; fields: {', '.join(fields_by_json_name)}")
    name, rest = fields_by_json_name[path[0]], path[1:]
    hint = get_type_hints(type(config))[name]
    value = _override_value(getattr(config, name), hint, rest, text)
    return dataclasses.replace(config, **{name: value})  # type: ignore[type-var]


def _override_value(value: Any, hint: Any, rest: Sequence[str], text: str) -> Any:
    if dataclasses.is_dataclass(value):
        return with_override(value, rest, text)
    value_type = _map_value_type(hint)
    if value_type is None:
        if rest:
            raise ValueError(f"is a single value; remove '.{'.'.join(rest)}'")
        return parse_value(hint, text)
    if not rest:
        raise ValueError("is a map; append a key")
    if dataclasses.is_dataclass(value_type) and isinstance(value_type, type):
        current = value.get(rest[0])
        return {**value, rest[0]: with_override(current if current is not None else value_type(), rest[1:], text)}
    # The key of a plain value is the rest of the path: a host name has dots.
    return {**value, ".".join(rest): parse_value(value_type, text)}


def parse_value(hint: Any, text: str) -> Any:
    """Parse a value of this type. Raise `ValueError`."""
    plain_type = _unwrap_type(hint)
    if plain_type is bool:
        if text.lower() not in TRUE + FALSE:
            raise ValueError(f"must be true or false, not {text[:40]!r}")
        return text.lower() in TRUE
    if plain_type is int:
        if not text.isascii() or not text.isdigit() or len(text) > 12:
            raise ValueError(f"must be a non-negative integer, not {text[:40]!r}")
        return int(text)
    if plain_type is timedelta:
        return parse_duration(text)
    if plain_type in (list, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text if plain_type is str else _parse_yaml(text)


def _parse_yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"invalid YAML: {' '.join(str(error).split())[:200]}") from None


def _unwrap_type(hint: Any) -> Any:
    """Return `int` for `int | None`, and `tuple` for `tuple[str, ...]`."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(argument for argument in get_args(hint) if argument is not type(None))
    return get_origin(hint) or hint


def _map_value_type(hint: Any) -> Any:
    """Return the type of a map's values; None for other types."""
    origin = _unwrap_type(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return (get_args(hint) or (str, str))[1]
    return None


def _describe_type(hint: Any) -> str:
    words = {int: "number", bool: "true or false", timedelta: "duration", str: "text", tuple: "list"}
    return words.get(_unwrap_type(hint), "YAML")
