"""The list of flows."""

import json
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.utils.http import urlencode

from flows.console.base import ADD, ENABLE, VIEW
from flows.models import EventSubscription, Execution, Flow
from flyte_site.console.filter_forms import ChoiceFilter, FilterForm, text_filter
from flyte_site.console.pages import render_page, require_perm
from flyte_site.core.labels import split_label

PAGE_SIZE = 50
MAX_SEARCH = 200
ENABLED_BY_STATE = {"enabled": True, "disabled": False}


class FlowFilterForm(FilterForm):
    """Filters of flows."""

    q = text_filter("Search", max_length=MAX_SEARCH)
    state = ChoiceFilter("Status", ENABLED_BY_STATE.keys())


def list_flows(request: HttpRequest) -> HttpResponse:
    """Flows in the order of their names, with what each did last."""
    require_perm(request, VIEW)
    form = FlowFilterForm(request.GET)
    filters = form.active_filters()
    matching = search_flows(filters.get("q", ""), ENABLED_BY_STATE.get(filters.get("state", "")))
    page = Paginator(matching if form.is_valid() else Flow.objects.none(), PAGE_SIZE).get_page(request.GET.get("page"))
    flows = list(page.object_list)
    executions = Execution.objects.in_bulk([flow.latest for flow in flows if flow.latest])
    context = {
        "rows": [{"flow": flow, "execution": executions.get(flow.latest)} for flow in flows],
        "page": page,
        "form": form,
        "filters": filters,
        "filtered": form.is_filtered(),
        "states": list(ENABLED_BY_STATE),
        "query": urlencode(filters),
        "can_add": request.user.has_perm(ADD),
        "can_enable": request.user.has_perm(ENABLE),
    }
    return render_page(request, "console/flow_list.html", "Flows", context)


def search_flows(search_text: str, enabled: bool | None = None) -> QuerySet[Flow, Any]:
    """Find flows with this text in their name, description or labels, or in a pack or event of their triggers.

    `env=prod` is a label and its value, `Slack.ReceivedMessage` a pack and its event. Each flow has its `latest`
    execution's id.
    """
    latest = Execution.objects.filter(flow_name=OuterRef("name")).order_by("-latest_action_id").values("id")[:1]
    flows = (
        Flow.objects.select_related("version")
        .defer("version__document", "version__source")
        .prefetch_related("subscriptions")
        .annotate(latest=Subquery(latest))
        .order_by("name")
    )
    if enabled is not None:
        flows = flows.filter(enabled=enabled)
    if not search_text:
        return flows
    flows = flows.annotate(labels_text=Cast("labels", TextField()))
    has_text = Q(name__icontains=search_text) | Q(description__icontains=search_text)
    return flows.filter(
        has_text
        | Q(labels_text__icontains=_build_labels_pattern(search_text))
        | Exists(_find_subscriptions(search_text))
    )


def _find_subscriptions(search_text: str) -> QuerySet[EventSubscription, Any]:
    """Find subscriptions of a flow with this text in their pack or event, or that are `pack.event`."""
    pack, _, event = search_text.partition(".")
    condition = Q(pack_name__icontains=search_text) | Q(event_name__icontains=search_text)
    if pack and event:
        condition |= Q(pack_name__iendswith=pack, event_name__istartswith=event)
    return EventSubscription.objects.filter(condition, flow=OuterRef("pk"))


def _build_labels_pattern(search_text: str) -> str:
    """Return the text in the form of stored labels: JSON without blanks between its parts."""
    try:
        name, value = split_label(search_text)
    except ValueError:
        value = ""
    return f"{json.dumps(name)}:{json.dumps(value)[:-1]}" if value else json.dumps(search_text)[1:-1]
