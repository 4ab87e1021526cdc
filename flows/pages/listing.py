"""The list of flows."""

import json
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.utils.http import urlencode

from flows.models import Execution, Flow, Listener
from flows.pages.frame import ADD, ENABLE, VIEW, need, show

PAGE = 50
MAX_SEARCH = 200
STATES = {"enabled": True, "disabled": False}


def flow_list(request: HttpRequest) -> HttpResponse:
    """Flows in the order of their names, with what each did last."""
    need(request, VIEW)
    wanted = request.GET.get("q", "").strip()[:MAX_SEARCH].replace("\x00", "")
    state = request.GET.get("state", "")
    state = state if state in STATES else ""
    asked = {name: text for name, text in (("q", wanted), ("state", state)) if text}
    page = Paginator(matching(wanted, STATES.get(state)), PAGE).get_page(request.GET.get("page"))
    flows = list(page.object_list)
    executions = Execution.objects.in_bulk([flow.latest for flow in flows if flow.latest])
    context = {
        "rows": [{"flow": flow, "execution": executions.get(flow.latest)} for flow in flows],
        "page": page,
        "wanted": wanted,
        "state": state,
        "states": list(STATES),
        "query": urlencode(asked),
        "can_add": request.user.has_perm(ADD),
        "can_enable": request.user.has_perm(ENABLE),
    }
    return show(request, "flow_list", "Flows", context)


def matching(wanted: str, enabled: bool | None = None) -> QuerySet[Flow, Any]:
    """The flows that have this text in their name, description or labels, or in a pack or event that they start on.

    `env: prod` is a label and its value, `Slack.ReceivedMessage` a pack and its event. Each flow has its `latest`
    execution's id.
    """
    latest = Execution.objects.filter(flow_name=OuterRef("name")).order_by("-latest_action_id").values("id")[:1]
    flows = (
        Flow.objects.select_related("version")
        .defer("version__document", "version__source")
        .prefetch_related("listeners")
        .annotate(latest=Subquery(latest))
        .order_by("name")
    )
    if enabled is not None:
        flows = flows.filter(enabled=enabled)
    if not wanted:
        return flows
    flows = flows.annotate(labels_text=Cast("labels", TextField()))
    named = Q(name__icontains=wanted) | Q(description__icontains=wanted)
    return flows.filter(named | Q(labels_text__icontains=_in_labels(wanted)) | Exists(_listeners(wanted)))


def _listeners(wanted: str) -> QuerySet[Listener, Any]:
    """Those of a flow whose pack or event has this text in its name, or that are `pack.event`."""
    pack, _, event = wanted.partition(".")
    found = Q(pack_name__icontains=wanted) | Q(event_name__icontains=wanted)
    if pack and event:
        found |= Q(pack_name__iendswith=pack, event_name__istartswith=event)
    return Listener.objects.filter(found, flow=OuterRef("pk"))


def _in_labels(wanted: str) -> str:
    """The text as it stands in the JSON of labels, which has no blanks between its parts."""
    key, colon, value = wanted.partition(":")
    if colon and key.strip() and value.strip():
        return f"{json.dumps(key.strip())}:{json.dumps(value.strip())[:-1]}"
    return json.dumps(wanted)[1:-1]
