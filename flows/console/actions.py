"""Actions on a whole flow: enable, disable, delete."""

import structlog
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from flows.console.base import DELETE, ENABLE, flow_url, get_flow_or_404
from flows.definition import store
from flows.models import Flow
from flyte_site.auth.activity_log import actor_of_user, log_activity
from flyte_site.console.pages import require_perm
from flyte_site.db.conflicts import retry_conflicts

log = structlog.get_logger(__name__)


@require_POST
def enable(request: HttpRequest, pk: str) -> HttpResponse:
    """Enable the flow."""
    return _set_enabled(request, pk, enabled=True)


@require_POST
def disable(request: HttpRequest, pk: str) -> HttpResponse:
    """Disable the flow; running executions continue."""
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
    effect = "is enabled." if enabled else "is disabled. Running executions continue."
    messages.success(request, f"The flow {flow.name} {effect}")
    redirect_url = flow_url("changelist") if request.GET.get("back") == "list" else flow_url("change", pk)
    return HttpResponseRedirect(redirect_url)


@require_POST
def delete(request: HttpRequest, pk: str) -> HttpResponse:
    """Delete the flow; its versions and running executions are kept."""
    require_perm(request, DELETE)
    flow = get_flow_or_404(pk)
    _delete(request, flow)
    log.info("flow_deleted", flow=flow.name)
    messages.success(request, f"The flow {flow.name} is deleted. Running executions continue; its versions are kept.")
    return HttpResponseRedirect(flow_url("changelist"))


@retry_conflicts
@transaction.atomic
def _delete(request: HttpRequest, flow: Flow) -> None:
    if not store.delete_flow(flow.name):
        raise Http404
    log_activity(actor_of_user(request), "deleted", "flow", flow.name, version=flow.version_id)
