"""The list of flows."""

import json
from typing import Any

from django.core.paginator import Paginator
from django.db.models import OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse

from flows.models import Execution, Flow
from flows.pages.frame import ADD, ENABLE, VIEW, need, show

PAGE = 50
MAX_SEARCH = 200


def flow_list(request: HttpRequest) -> HttpResponse:
    """Flows in the order of their names, with what each did last."""
    need(request, VIEW)
    wanted = request.GET.get("q", "").strip()[:MAX_SEARCH].replace("\x00", "")
    page = Paginator(matching(wanted), PAGE).get_page(request.GET.get("page"))
    flows = list(page.object_list)
    executions = Execution.objects.in_bulk([flow.latest for flow in flows if flow.latest])
    context = {
        "rows": [{"flow": flow, "execution": executions.get(flow.latest)} for flow in flows],
        "page": page,
        "wanted": wanted,
        "can_add": request.user.has_perm(ADD),
        "can_enable": request.user.has_perm(ENABLE),
    }
    return show(request, "flow_list", "Flows", context)


def matching(wanted: str) -> QuerySet[Flow, Any]:
    """The flows whose name or labels have this text; `env: prod` is a label and its value. Each with its `latest`
    execution's id."""
    latest = Execution.objects.filter(flow_name=OuterRef("name")).order_by("-latest_action_id").values("id")[:1]
    flows = (
        Flow.objects.select_related("version")
        .defer("version__document", "version__source")
        .prefetch_related("listeners")
        .annotate(latest=Subquery(latest))
        .order_by("name")
    )
    if not wanted:
        return flows
    flows = flows.annotate(labels_text=Cast("labels", TextField()))
    return flows.filter(Q(name__icontains=wanted) | Q(labels_text__icontains=_in_labels(wanted)))


def _in_labels(wanted: str) -> str:
    """The text as it stands in the JSON of labels, which has no blanks between its parts."""
    key, colon, value = wanted.partition(":")
    if colon and key.strip() and value.strip():
        return f"{json.dumps(key.strip())}:{json.dumps(value.strip())[:-1]}"
    return json.dumps(wanted)[1:-1]
