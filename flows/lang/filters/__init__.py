"""All filters by name."""

from flows.lang.filters.base import Filter
from flows.lang.filters.django import DJANGO_FILTERS
from flows.lang.filters.flyte import FLYTE_FILTERS
from flows.lang.filters.html import HTML_FILTERS
from flows.lang.filters.lists import LIST_FILTERS
from flows.lang.filters.numeric import NUMERIC_FILTERS
from flows.lang.filters.text import TEXT_FILTERS

FILTERS: dict[str, Filter] = {
    each.name: each
    for each in (*TEXT_FILTERS, *LIST_FILTERS, *NUMERIC_FILTERS, *HTML_FILTERS, *FLYTE_FILTERS, *DJANGO_FILTERS)
}
