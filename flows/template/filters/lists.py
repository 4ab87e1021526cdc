"""Filters for lists, maps and single values: items, slices, joins, choices and defaults."""

import secrets

from django.template.defaultfilters import slice_filter

from flows.template.errors import OperationError
from flows.template.filters.base import Filter, check_text_length
from flows.template.runtime.numbers import read_int
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.resolve import get_type_name
from flows.template.runtime.values import Record, is_number, is_sliceable, is_truthy, to_text


def _first(value: object, argument: object, render_context: RenderContext) -> object:
    return value[0] if isinstance(value, list | str) and value else ""


def _last(value: object, argument: object, render_context: RenderContext) -> object:
    return value[-1] if isinstance(value, list | str) and value else ""


def _random(value: object, argument: object, render_context: RenderContext) -> object:
    return secrets.choice(value) if isinstance(value, list | str) and value else value


def _index(value: object, argument: object, render_context: RenderContext) -> object:
    if not isinstance(value, list | str) or not value:
        return ""
    index = read_int(argument, render_context)
    if -len(value) <= index < len(value):
        return value[index]
    return "" if isinstance(value, str) else None


def _key(value: object, argument: object, render_context: RenderContext) -> object:
    if value is None:
        return None
    if not isinstance(value, dict) or isinstance(value, Record):
        raise OperationError(
            f"key needs a map, not {get_type_name(value) if not isinstance(value, Record) else 'an event'}"
        )
    return value.get(to_text(argument))


def _join(value: object, argument: object, render_context: RenderContext) -> object:
    if not isinstance(value, list | str):
        return value
    separator = to_text(argument)
    check_text_length(len(separator) * (len(value) - 1), render_context)
    if isinstance(value, str):
        return separator.join(value)
    parts: list[str] = []
    length = len(separator) * (len(value) - 1)
    for item in value:
        parts.append(to_text(item))
        length += len(parts[-1])
        check_text_length(length, render_context)
    return separator.join(parts)


def _split(value: object, argument: object, render_context: RenderContext) -> object:
    separator = to_text(argument)
    return list[object](to_text(value).split(separator)) if separator else list(to_text(value))


def _make_list(value: object, argument: object, render_context: RenderContext) -> object:
    return list(to_text(value))


def _slice(value: object, argument: object, render_context: RenderContext) -> object:
    return slice_filter(value, to_text(argument)) if is_sliceable(value) else value


def _default(value: object, argument: object, render_context: RenderContext) -> object:
    return value if is_truthy(value) else argument


def _default_if_none(value: object, argument: object, render_context: RenderContext) -> object:
    return argument if value is None else value


def _yesno(value: object, argument: object, render_context: RenderContext) -> object:
    words = to_text(argument)
    choices = words.split(",") if words else ["yes", "no", "maybe"]
    if not 2 <= len(choices) <= 3:
        raise OperationError("yesno takes two or three words: yesno:'yes,no,maybe'")
    if value is None:
        return choices[2] if len(choices) == 3 else "maybe"
    return choices[0] if is_truthy(value) else choices[1]


def _pluralize(value: object, argument: object, render_context: RenderContext) -> object:
    if not is_number(value) and not isinstance(value, str):
        raise OperationError(f"pluralize needs a number, not {get_type_name(value)}")
    endings = (to_text(argument) or "s").split(",")
    if len(endings) > 2:
        raise OperationError("pluralize takes one or two endings: pluralize:'y,ies'")
    if read_int(value, render_context) != 1:
        return endings[-1]
    return endings[0] if len(endings) == 2 else ""


def _safe(value: object, argument: object, render_context: RenderContext) -> object:
    return value


LIST_FILTERS = (
    Filter("first", _first),
    Filter("last", _last),
    Filter("random", _random),
    Filter("index", _index),
    Filter("key", _key),
    Filter("join", _join, is_per_character=True),
    Filter("split", _split),
    Filter("make_list", _make_list, is_per_character=True),
    Filter("slice", _slice),
    Filter("default", _default),
    Filter("default_if_none", _default_if_none),
    Filter("yesno", _yesno),
    Filter("pluralize", _pluralize),
    Filter("safe", _safe),
)
