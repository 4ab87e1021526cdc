"""The list of changes, page by page: the same cost on each, however many there are."""

from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from flyte_site.models import Change

PAGE = 50
KINDS = ("flow", "execution", "pack", "approval", "datastore item", "person", "role", "token")
FILTERS = ("kind", "key", "actor")
MAX_ID = 2**53


def page_of_changes(query: QueryDict) -> dict[str, Any]:
    """What `console/changes.html` shows: `changes`, the newest first, and the queries for `newer` and `older` ones."""
    asked = {name: query.get(name, "").replace("\x00", "").strip() for name in FILTERS}
    wanted = {name: text for name, text in asked.items() if text}
    before, after = _number(query.get("before", "")), _number(query.get("after", ""))
    rows = Change.objects.filter(**wanted)
    if after:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: PAGE + 1])
        newer, older, shown = len(found) > PAGE, True, found[:PAGE][::-1]
    else:
        found = list((rows.filter(pk__lt=before) if before else rows).order_by("-pk")[: PAGE + 1])
        newer, older, shown = bool(before), len(found) > PAGE, found[:PAGE]
    return {
        "changes": shown,
        "asked": asked,
        "kinds": KINDS,
        "newer": urlencode({**wanted, "after": shown[0].pk}) if newer and shown else "",
        "older": urlencode({**wanted, "before": shown[-1].pk}) if older and shown else "",
    }


def _number(text: str) -> int:
    return min(int(text), MAX_ID) if text.isascii() and text.isdigit() and len(text) < 20 else 0
