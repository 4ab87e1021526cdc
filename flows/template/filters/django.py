"""Filters of Django that the original lacks. They read keys instead of attributes of objects."""

from functools import cmp_to_key

from django.template.defaultfilters import filesizeformat, slugify, unordered_list

from flows.template.errors import OperationError
from flows.template.filters.base import Filter
from flows.template.runtime.numbers import read_float
from flows.template.runtime.operators import compare_for_sorting
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.resolve import get_type_name, resolve_key
from flows.template.runtime.values import to_text


def _strip_safe_mark(value: str) -> str:
    """Remove Django's mark for safe HTML, which `str` would keep."""
    return str.__str__(value)


def _slugify(value: object, argument: object, render_context: RenderContext) -> object:
    return _strip_safe_mark(slugify(to_text(value)))


def _filesizeformat(value: object, argument: object, render_context: RenderContext) -> object:
    return _strip_safe_mark(filesizeformat(read_float(value, render_context)))


def _get_sort_key(item: object, keys: list[str]) -> object:
    for key in keys:
        item = resolve_key(item, int(key) if key.isascii() and key.isdigit() and isinstance(item, list) else key)
    return item


def _sort_by_key(value: object, argument: object, descending: bool, render_context: RenderContext) -> object:
    if not isinstance(value, list):
        raise OperationError(f"dictsort needs a list of maps, not {get_type_name(value)}")
    render_context.charge(len(value))
    keys = to_text(argument).split(".")
    compare_key = cmp_to_key(compare_for_sorting)
    return sorted(value, key=lambda item: compare_key(_get_sort_key(item, keys)), reverse=descending)


def _dictsort(value: object, argument: object, render_context: RenderContext) -> object:
    return _sort_by_key(value, argument, False, render_context)


def _dictsortreversed(value: object, argument: object, render_context: RenderContext) -> object:
    return _sort_by_key(value, argument, True, render_context)


def _to_texts(items: list[object], render_context: RenderContext) -> list[object]:
    render_context.charge(len(items))
    return [_to_texts(item, render_context) if isinstance(item, list) else to_text(item) for item in items]


def _unordered_list(value: object, argument: object, render_context: RenderContext) -> object:
    if not isinstance(value, list):
        raise OperationError(f"unordered_list needs a list, not {get_type_name(value)}")
    return _strip_safe_mark(unordered_list(_to_texts(value, render_context), autoescape=False))


DJANGO_FILTERS = (
    Filter("slugify", _slugify),
    Filter("filesizeformat", _filesizeformat),
    Filter("dictsort", _dictsort),
    Filter("dictsortreversed", _dictsortreversed),
    Filter("unordered_list", _unordered_list),
)
