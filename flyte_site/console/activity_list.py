"""Pages of the activity log, at constant cost whatever its length."""

from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from flyte_site.auth.activity_log import USER_KIND
from flyte_site.db.keyset import fetch_page
from flyte_site.models import Change

PAGE_SIZE = 50
KINDS = ("flow", "execution", "pack", "approval", "datastore item", USER_KIND, "role", "token")
FILTERS = ("kind", "key", "actor")
MAX_ID = 2**53


def get_activity_page(query: QueryDict) -> dict[str, Any]:
    """Build the context of `console/changes.html`: `changes`, newest first, and the queries of `newer` and `older`."""
    form_values = {name: query.get(name, "").replace("\x00", "").strip() for name in FILTERS}
    filters = {name: text for name, text in form_values.items() if text}
    before, after = _parse_id(query.get("before", "")), _parse_id(query.get("after", ""))
    # In the order of display the older entries come after the newer ones.
    page = fetch_page(Change.objects.filter(**filters), "pk", PAGE_SIZE, after=before, before=after, descending=True)
    return {
        "changes": page.rows,
        "filters": form_values,
        "kinds": KINDS,
        "newer": urlencode({**filters, "after": page.previous_key}) if page.previous_key else "",
        "older": urlencode({**filters, "before": page.next_key}) if page.next_key else "",
    }


def _parse_id(text: str) -> int:
    return min(int(text), MAX_ID) if text.isascii() and text.isdigit() and len(text) < 20 else 0
