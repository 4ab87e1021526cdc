"""Pages of the activity log, at constant cost whatever its length."""

from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from flyte_site.auth.activity_log import USER_KIND, label_kind
from flyte_site.console.filter_forms import EXACT_NAME_HELP, ChoiceFilter, FilterForm, text_filter
from flyte_site.db.keyset import fetch_page
from flyte_site.models import Change

PAGE_SIZE = 50
KINDS = ("flow", "execution", "pack", "approval", "datastore item", USER_KIND, "role", "token")
MAX_ID = 2**53


class ActivityFilterForm(FilterForm):
    """Filters of the activity log."""

    kind = ChoiceFilter("Type", {kind: label_kind(kind) for kind in KINDS})
    key = text_filter("Name", EXACT_NAME_HELP, max_length=Change._meta.get_field("key").max_length)
    actor = text_filter("Changed by", EXACT_NAME_HELP)


def get_activity_page(query: QueryDict) -> dict[str, Any]:
    """Build the context of `console/changes.html`: `changes`, newest first, and the queries of `newer` and `older`."""
    form = ActivityFilterForm(query)
    filters = form.active_filters()
    changes = Change.objects.filter(**filters) if form.is_valid() else Change.objects.none()
    before, after = _parse_id(query.get("before", "")), _parse_id(query.get("after", ""))
    # In the order of display the older entries come after the newer ones.
    page = fetch_page(changes, "pk", PAGE_SIZE, after=before, before=after, descending=True)
    return {
        "form": form,
        "filtered": form.is_filtered(),
        "changes": page.rows,
        "newer": urlencode({**filters, "after": page.previous_key}) if page.previous_key else "",
        "older": urlencode({**filters, "before": page.next_key}) if page.next_key else "",
    }


def _parse_id(text: str) -> int:
    return min(int(text), MAX_ID) if text.isascii() and text.isdigit() and len(text) < 20 else 0
