"""A configuration's fields by their dotted JSON names, e.g. `caching.resyncInterval`."""

import dataclasses
import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from packs.webapi.durations import parse_duration

C = TypeVar("C")
TRUE, FALSE = ("true", "1"), ("false", "0")


class NamedField(NamedTuple):
    """A field that can be set: its dotted name, its type in words, and its default."""

    name: str
    kind: str
    default: Any


def json_name(name: str) -> str:
    """`resync_interval` as `resyncInterval`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def named_fields(config: Any, prefix: str = "") -> Iterator[NamedField]:
    """Every field that can be set, in order; `<name>` stands for a key of a map."""
    hints = get_type_hints(type(config))
    for one in _settable(config):
        name, value = prefix + json_name(one.name), getattr(config, one.name)
        if dataclasses.is_dataclass(value):
            yield from named_fields(value, f"{name}.")
        else:
            yield from _leaf(name, hints[one.name], value)


def _leaf(name: str, hint: Any, value: Any) -> Iterator[NamedField]:
    inner = _map_of(hint)
    if dataclasses.is_dataclass(inner) and isinstance(inner, type):
        yield from named_fields(inner(), f"{name}.<name>.")
    elif inner is not None:
        yield NamedField(f"{name}.<name>", _word(inner), value)
    else:
        yield NamedField(name, _word(hint), value)


def _settable(config: Any) -> list["dataclasses.Field[Any]"]:
    return [one for one in dataclasses.fields(config) if one.name != "resource_meta"]


def laid_over(config: C, path: Sequence[str], text: str) -> C:
    """The configuration with the field of this path set to what `text` says. Raises `ValueError`."""
    known = {json_name(one.name): one.name for one in _settable(config)}
    if not path:
        raise ValueError(f"has fields: name one of {', '.join(known)} behind another dot")
    if path[0] not in known:
        raise ValueError(f"has no field {'.'.join(path)!r}; there are {', '.join(known)}")
    name, rest = known[path[0]], path[1:]
    hint = get_type_hints(type(config))[name]
    value = _changed(getattr(config, name), hint, rest, text)
    return dataclasses.replace(config, **{name: value})  # type: ignore[type-var]


def _changed(value: Any, hint: Any, rest: Sequence[str], text: str) -> Any:
    if dataclasses.is_dataclass(value):
        return laid_over(value, rest, text)
    inner = _map_of(hint)
    if inner is None:
        if rest:
            raise ValueError(f"has nothing inside for {'.'.join(rest)!r}")
        return read(hint, text)
    if not rest:
        raise ValueError("is a map: name the key behind another dot")
    if dataclasses.is_dataclass(inner) and isinstance(inner, type):
        known = value.get(rest[0])
        return {**value, rest[0]: laid_over(known if known is not None else inner(), rest[1:], text)}
    # The key of a plain value is all of what is left: a host's name has dots.
    return {**value, ".".join(rest): read(inner, text)}


def read(hint: Any, text: str) -> Any:
    """A value of this type out of its text. Raises `ValueError`."""
    kind = _plain(hint)
    if kind is bool:
        if text.lower() not in TRUE + FALSE:
            raise ValueError(f"must be true or false, not {text[:40]!r}")
        return text.lower() in TRUE
    if kind is int:
        if not text.isascii() or not text.isdigit() or len(text) > 12:
            raise ValueError(f"must be a whole number, not {text[:40]!r}")
        return int(text)
    if kind is timedelta:
        return parse_duration(text)
    if kind in (list, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text if kind is str else _document(text)


def _document(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"is no YAML: {' '.join(str(error).split())[:200]}") from None


def _plain(hint: Any) -> Any:
    """`int | None` as `int`, `tuple[str, ...]` as `tuple`."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(one for one in get_args(hint) if one is not type(None))
    return get_origin(hint) or hint


def _map_of(hint: Any) -> Any:
    """The type of a map's values; None for what is no map."""
    origin = _plain(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return (get_args(hint) or (str, str))[1]
    return None


def _word(hint: Any) -> str:
    words = {int: "number", bool: "true or false", timedelta: "duration", str: "text", tuple: "list"}
    return words.get(_plain(hint), "YAML")
