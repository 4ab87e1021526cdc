"""All filters by name."""

from flows.template.filters.base import Filter
from flows.template.filters.django import DJANGO_FILTERS
from flows.template.filters.encoding import ENCODING_FILTERS
from flows.template.filters.flyte import FLYTE_FILTERS
from flows.template.filters.html import HTML_FILTERS
from flows.template.filters.lists import LIST_FILTERS
from flows.template.filters.numeric import NUMERIC_FILTERS
from flows.template.filters.text import TEXT_FILTERS
from flows.template.filters.times import TIME_FILTERS
from flows.template.filters.versions import VERSION_FILTERS

FILTERS: dict[str, Filter] = {
    each.name: each
    for each in (
        *TEXT_FILTERS,
        *LIST_FILTERS,
        *NUMERIC_FILTERS,
        *TIME_FILTERS,
        *HTML_FILTERS,
        *FLYTE_FILTERS,
        *DJANGO_FILTERS,
        *ENCODING_FILTERS,
        *VERSION_FILTERS,
    )
}
