"""Versions of a flow: list, comparison, single version, restoring."""

import structlog
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from flows.console.base import ADD, CHANGE, VIEW, flow_context, flow_url, get_flow_or_404
from flows.definition import FlowValidationError, store
from flows.definition.diff import diff_texts
from flows.definition.editor.report import detect_language, get_version_text
from flows.diagram import render_diagram
from flows.models import Flow, FlowVersion
from flyte_site.auth.activity_log import Actor, actor_of_user, log_activity
from flyte_site.console.pages import render_page, require_perm
from flyte_site.db.conflicts import retry_conflicts

log = structlog.get_logger(__name__)

PAGE_SIZE = 50


def version_list(request: HttpRequest, pk: str) -> HttpResponse:
    """Show all versions of a flow, newest first, and the diff of two; initially of the last two."""
    require_perm(request, VIEW)
    flow = get_flow_or_404(pk)
    versions = FlowVersion.objects.filter(flow_name=flow.name).defer("document", "source").order_by("-id")
    page = Paginator(versions, PAGE_SIZE).get_page(request.GET.get("page"))
    old, new = _select_versions(request, flow)
    context = {
        **flow_context(request, flow, "versions"),
        "page": page,
        "old": old,
        "new": new,
        "comparison": diff_texts(get_version_text(old), get_version_text(new)) if old and new else None,
    }
    return render_page(request, "console/flow_versions.html", flow.name, context)


def _select_versions(request: HttpRequest, flow: Flow) -> tuple[FlowVersion | None, FlowVersion | None]:
    """Return the two versions to compare, the older one first; the previous one if only one is selected."""
    flow_versions = FlowVersion.objects.filter(flow_name=flow.name)
    requested_ids = [_clean_version_id(request.GET.get(name, "")) for name in ("from", "to")]
    new = flow_versions.filter(id=requested_ids[1] or flow.version_id).first()
    if new is None:
        raise Http404
    if not requested_ids[0]:
        return flow_versions.filter(id__lt=new.id).order_by("-id").first(), new
    old = flow_versions.filter(id=requested_ids[0]).first()
    if old is None:
        raise Http404
    return (old, new) if old.id <= new.id else (new, old)


def show_version(request: HttpRequest, version_id: str) -> HttpResponse:
    """Show a version as it was saved, even if the flow was deleted."""
    require_perm(request, VIEW)
    flow_version = _get_version_or_404(version_id)
    flow = Flow.objects.filter(name=flow_version.flow_name).select_related("version").first()
    text = get_version_text(flow_version)
    context = {
        **(flow_context(request, flow, "version") if flow else {}),
        "version": flow_version,
        "text": text,
        "language": detect_language(text),
        "diagram": render_diagram(flow_version.document, links=False),
        "is_current": flow is not None and flow.version_id == flow_version.id,
        "can_restore": request.user.has_perm(CHANGE if flow else ADD),
    }
    return render_page(request, "console/flow_version.html", flow_version.flow_name, context)


def _clean_version_id(text: str) -> str:
    """Check a version's id. Raises `Http404`."""
    if text and not (text.isascii() and text.isalnum() and len(text) <= 24):
        raise Http404
    return text


def _get_version_or_404(version_id: str) -> FlowVersion:
    flow_version = FlowVersion.objects.filter(id=_clean_version_id(version_id)).first()
    if flow_version is None:
        raise Http404
    return flow_version


@require_POST
def restore_version(request: HttpRequest, version_id: str) -> HttpResponse:
    """Save the version as the current one; create the flow again if it was deleted."""
    require_perm(request, ADD, CHANGE)
    flow_version = _get_version_or_404(version_id)
    require_perm(request, CHANGE if Flow.objects.filter(name=flow_version.flow_name).exists() else ADD)
    actor = actor_of_user(request)
    try:
        flow = _restore(actor, flow_version)
    except FlowValidationError as error:
        first_error = error.errors[0]
        messages.error(
            request,
            f"The version violates rules that were added after it was saved: {first_error.path}: {first_error.message}",
        )
        return HttpResponseRedirect(flow_url("version", flow_version.id))
    log.info("flow_restored", flow=flow.name, version=flow_version.id)
    messages.success(request, "The version was restored as a new version, which is now current.")
    return HttpResponseRedirect(flow_url("versions", flow.pk))


@retry_conflicts
@transaction.atomic
def _restore(actor: Actor, flow_version: FlowVersion) -> Flow:
    flow = store.restore_version(flow_version.id, saved_by=actor.name)
    if flow is None:
        raise Http404
    log_activity(actor, "restored", "flow", flow.name, version=flow.version_id, of=flow_version.id)
    return flow
