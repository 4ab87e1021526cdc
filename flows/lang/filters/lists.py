"""Filters for lists, maps and single values: items, slices, joins, choices and defaults."""

import secrets

from django.template.defaultfilters import slice_filter

from flows.lang.errors import RefusedError
from flows.lang.evaluation import Evaluation
from flows.lang.filters.base import Filter, check_length
from flows.lang.lookups import kind_name
from flows.lang.values import Record, can_slice, is_number, text, truth, whole


def _first(value: object, argument: object, evaluation: Evaluation) -> object:
    return value[0] if isinstance(value, list | str) and value else ""


def _last(value: object, argument: object, evaluation: Evaluation) -> object:
    return value[-1] if isinstance(value, list | str) and value else ""


def _random(value: object, argument: object, evaluation: Evaluation) -> object:
    return secrets.choice(value) if isinstance(value, list | str) and value else value


def _index(value: object, argument: object, evaluation: Evaluation) -> object:
    if not isinstance(value, list | str) or not value:
        return ""
    place = whole(argument)
    if -len(value) <= place < len(value):
        return value[place]
    return "" if isinstance(value, str) else None


def _key(value: object, argument: object, evaluation: Evaluation) -> object:
    if value is None:
        return None
    if not isinstance(value, dict) or isinstance(value, Record):
        raise RefusedError(f"key needs a map, not {kind_name(value) if not isinstance(value, Record) else 'an event'}")
    return value.get(text(argument))


def _join(value: object, argument: object, evaluation: Evaluation) -> object:
    if not isinstance(value, list | str):
        return value
    separator = text(argument)
    check_length(len(separator) * (len(value) - 1), evaluation)
    if isinstance(value, str):
        return separator.join(value)
    parts: list[str] = []
    size = len(separator) * (len(value) - 1)
    for item in value:
        parts.append(text(item))
        size += len(parts[-1])
        check_length(size, evaluation)
    return separator.join(parts)


def _split(value: object, argument: object, evaluation: Evaluation) -> object:
    separator = text(argument)
    return list[object](text(value).split(separator)) if separator else list(text(value))


def _make_list(value: object, argument: object, evaluation: Evaluation) -> object:
    return list(text(value))


def _slice(value: object, argument: object, evaluation: Evaluation) -> object:
    return slice_filter(value, text(argument)) if can_slice(value) else value


def _default(value: object, argument: object, evaluation: Evaluation) -> object:
    return value if truth(value) else argument


def _default_if_none(value: object, argument: object, evaluation: Evaluation) -> object:
    return argument if value is None else value


def _yesno(value: object, argument: object, evaluation: Evaluation) -> object:
    given = text(argument)
    choices = given.split(",") if given else ["yes", "no", "maybe"]
    if not 2 <= len(choices) <= 3:
        raise RefusedError("yesno takes two or three words: yesno:'yes,no,maybe'")
    if value is None:
        return choices[2] if len(choices) == 3 else "maybe"
    return choices[0] if truth(value) else choices[1]


def _pluralize(value: object, argument: object, evaluation: Evaluation) -> object:
    if not is_number(value):
        raise RefusedError(f"pluralize needs a number, not {kind_name(value)}")
    endings = (text(argument) or "s").split(",")
    if len(endings) > 2:
        raise RefusedError("pluralize takes one or two endings: pluralize:'y,ies'")
    if whole(value) != 1:
        return endings[-1]
    return endings[0] if len(endings) == 2 else ""


def _safe(value: object, argument: object, evaluation: Evaluation) -> object:
    return value


LIST_FILTERS = (
    Filter("first", _first),
    Filter("last", _last),
    Filter("random", _random),
    Filter("index", _index),
    Filter("key", _key),
    Filter("join", _join, slow=True),
    Filter("split", _split),
    Filter("make_list", _make_list, slow=True),
    Filter("slice", _slice),
    Filter("default", _default),
    Filter("default_if_none", _default_if_none),
    Filter("yesno", _yesno),
    Filter("pluralize", _pluralize),
    Filter("safe", _safe),
)
