"""Pages of the activity log, at constant cost whatever its length."""

from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from flyte_site.models import Change

PAGE_SIZE = 50
KINDS = ("flow", "execution", "pack", "approval", "datastore item", "person", "role", "token")
FILTERS = ("kind", "key", "actor")
MAX_ID = 2**53


def get_activity_page(query: QueryDict) -> dict[str, Any]:
    """Build the context of `console/changes.html`: `changes`, newest first, and the queries of `newer` and `older`."""
    form_values = {name: query.get(name, "").replace("\x00", "").strip() for name in FILTERS}
    filters = {name: text for name, text in form_values.items() if text}
    before, after = _parse_id(query.get("before", "")), _parse_id(query.get("after", ""))
    entries = Change.objects.filter(**filters)
    if after:
        fetched = list(entries.filter(pk__gt=after).order_by("pk")[: PAGE_SIZE + 1])
        has_newer, has_older, page = len(fetched) > PAGE_SIZE, True, fetched[:PAGE_SIZE][::-1]
    else:
        fetched = list((entries.filter(pk__lt=before) if before else entries).order_by("-pk")[: PAGE_SIZE + 1])
        has_newer, has_older, page = bool(before), len(fetched) > PAGE_SIZE, fetched[:PAGE_SIZE]
    return {
        "changes": page,
        "asked": form_values,
        "kinds": KINDS,
        "newer": urlencode({**filters, "after": page[0].pk}) if has_newer and page else "",
        "older": urlencode({**filters, "before": page[-1].pk}) if has_older and page else "",
    }


def _parse_id(text: str) -> int:
    return min(int(text), MAX_ID) if text.isascii() and text.isdigit() and len(text) < 20 else 0
