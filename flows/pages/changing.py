"""What is done to a flow as a whole: enabled, disabled, deleted."""

import structlog
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from flows import saving
from flows.pages.frame import DELETE, ENABLE, find, need, url
from flyte_site.changes import person, record

log = structlog.get_logger(__name__)


@require_POST
def enable(request: HttpRequest, pk: str) -> HttpResponse:
    """Let the flow start executions."""
    return _switch(request, pk, on=True)


@require_POST
def disable(request: HttpRequest, pk: str) -> HttpResponse:
    """Let the flow start nothing; what runs goes on."""
    return _switch(request, pk, on=False)


def _switch(request: HttpRequest, pk: str, *, on: bool) -> HttpResponse:
    need(request, ENABLE)
    flow, what = find(pk), "enabled" if on else "disabled"
    with transaction.atomic():
        if not saving.set_enabled(flow.name, on):
            raise Http404
        if flow.enabled != on:
            record(person(request), what, "flow", flow.name)
    log.info("flow_enabled" if on else "flow_disabled", flow=flow.name)
    told = "is enabled." if on else "is disabled: it starts nothing, and what runs goes on."
    messages.success(request, f"The flow {flow.name} {told}")
    back = url("changelist") if request.GET.get("back") == "list" else url("change", pk)
    return HttpResponseRedirect(back)


@require_POST
def delete(request: HttpRequest, pk: str) -> HttpResponse:
    """Delete the flow; its versions, and what runs, stay."""
    need(request, DELETE)
    flow = find(pk)
    with transaction.atomic():
        if not saving.delete(flow.name):
            raise Http404
        record(person(request), "deleted", "flow", flow.name, version=flow.version_id)
    log.info("flow_deleted", flow=flow.name)
    messages.success(request, f"The flow {flow.name} is deleted. What runs goes on; its versions are kept.")
    return HttpResponseRedirect(url("changelist"))
