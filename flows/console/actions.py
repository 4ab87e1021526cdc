"""What is done to a flow as a whole: enabled, disabled, deleted."""

import structlog
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from flows.console.base import DELETE, ENABLE, flow_url, get_flow_or_404, require_perm
from flows.definition import store
from flyte_site.auth.activity_log import actor_of_user, log_activity

log = structlog.get_logger(__name__)


@require_POST
def enable(request: HttpRequest, pk: str) -> HttpResponse:
    """Let the flow start executions."""
    return _set_enabled(request, pk, enabled=True)


@require_POST
def disable(request: HttpRequest, pk: str) -> HttpResponse:
    """Let the flow start nothing; what runs goes on."""
    return _set_enabled(request, pk, enabled=False)


def _set_enabled(request: HttpRequest, pk: str, *, enabled: bool) -> HttpResponse:
    require_perm(request, ENABLE)
    flow, verb = get_flow_or_404(pk), "enabled" if enabled else "disabled"
    with transaction.atomic():
        if not store.set_enabled(flow.name, enabled):
            raise Http404
        if flow.enabled != enabled:
            log_activity(actor_of_user(request), verb, "flow", flow.name)
    log.info("flow_enabled" if enabled else "flow_disabled", flow=flow.name)
    effect = "is enabled." if enabled else "is disabled: it starts nothing, and what runs goes on."
    messages.success(request, f"The flow {flow.name} {effect}")
    redirect_url = flow_url("changelist") if request.GET.get("back") == "list" else flow_url("change", pk)
    return HttpResponseRedirect(redirect_url)


@require_POST
def delete(request: HttpRequest, pk: str) -> HttpResponse:
    """Delete the flow; its versions, and what runs, stay."""
    require_perm(request, DELETE)
    flow = get_flow_or_404(pk)
    with transaction.atomic():
        if not store.delete_flow(flow.name):
            raise Http404
        log_activity(actor_of_user(request), "deleted", "flow", flow.name, version=flow.version_id)
    log.info("flow_deleted", flow=flow.name)
    messages.success(request, f"The flow {flow.name} is deleted. What runs goes on; its versions are kept.")
    return HttpResponseRedirect(flow_url("changelist"))
