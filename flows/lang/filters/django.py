"""Filters that Django has and the original lacks. Where one would read attributes of objects, it reads keys here."""

from datetime import UTC, datetime
from functools import cmp_to_key

from django.template.defaultfilters import filesizeformat, slugify, unordered_list
from django.utils.timesince import timesince, timeuntil

from flows.lang.errors import RefusedError
from flows.lang.evaluation import Evaluation
from flows.lang.filters.base import Filter
from flows.lang.lookups import kind_name, step
from flows.lang.operators import order
from flows.lang.times import aware, parse_rfc3339
from flows.lang.values import real, text


def _plain(value: str) -> str:
    """Without Django's mark that the text is safe HTML, which `str` would keep."""
    return str.__str__(value)


def _slugify(value: object, argument: object, evaluation: Evaluation) -> object:
    return _plain(slugify(text(value)))


def _filesizeformat(value: object, argument: object, evaluation: Evaluation) -> object:
    return _plain(filesizeformat(real(value)))


def _time(name: str, value: object) -> datetime:
    time = parse_rfc3339(value) if isinstance(value, str) else value
    if not isinstance(time, datetime):
        raise RefusedError(f"{name} needs a time, not {kind_name(value)}")
    return aware(time)


def _timesince(value: object, argument: object, evaluation: Evaluation) -> object:
    other = datetime.now(UTC) if argument is None else _time("timesince", argument)
    return _plain(timesince(_time("timesince", value), other))


def _timeuntil(value: object, argument: object, evaluation: Evaluation) -> object:
    other = datetime.now(UTC) if argument is None else _time("timeuntil", argument)
    return _plain(timeuntil(_time("timeuntil", value), other))


def _sort_key(item: object, keys: list[str]) -> object:
    for key in keys:
        item = step(item, int(key) if key.isascii() and key.isdigit() and isinstance(item, list) else key)
    return item


def _sorted(value: object, argument: object, backwards: bool, evaluation: Evaluation) -> object:
    if not isinstance(value, list):
        raise RefusedError(f"dictsort needs a list of maps, not {kind_name(value)}")
    evaluation.spend(len(value))
    keys = text(argument).split(".")
    by_key = cmp_to_key(order)
    return sorted(value, key=lambda item: by_key(_sort_key(item, keys)), reverse=backwards)


def _dictsort(value: object, argument: object, evaluation: Evaluation) -> object:
    return _sorted(value, argument, False, evaluation)


def _dictsortreversed(value: object, argument: object, evaluation: Evaluation) -> object:
    return _sorted(value, argument, True, evaluation)


def _texts(items: list[object], evaluation: Evaluation) -> list[object]:
    evaluation.spend(len(items))
    return [_texts(item, evaluation) if isinstance(item, list) else text(item) for item in items]


def _unordered_list(value: object, argument: object, evaluation: Evaluation) -> object:
    if not isinstance(value, list):
        raise RefusedError(f"unordered_list needs a list, not {kind_name(value)}")
    return _plain(unordered_list(_texts(value, evaluation), autoescape=False))


DJANGO_FILTERS = (
    Filter("slugify", _slugify),
    Filter("filesizeformat", _filesizeformat),
    Filter("timesince", _timesince),
    Filter("timeuntil", _timeuntil),
    Filter("dictsort", _dictsort),
    Filter("dictsortreversed", _dictsortreversed),
    Filter("unordered_list", _unordered_list),
)
