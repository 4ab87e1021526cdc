"""A flow's versions: the list, the difference of two, one by itself, and taking one back."""

import structlog
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from flows import saving
from flows.checking import language_of, text_of
from flows.comparison import compare
from flows.document import FlowValidationError
from flows.drawing import render_diagram
from flows.models import Flow, FlowVersion
from flows.pages.frame import ADD, CHANGE, VIEW, around_flow, find, need, show, url
from flyte_site.changes import person, record

log = structlog.get_logger(__name__)

PAGE = 50


def version_list(request: HttpRequest, pk: str) -> HttpResponse:
    """All versions of a flow, the newest first, and what two of them differ in: at first the last two."""
    need(request, VIEW)
    flow = find(pk)
    versions = FlowVersion.objects.filter(flow_name=flow.name).defer("document", "source").order_by("-id")
    page = Paginator(versions, PAGE).get_page(request.GET.get("page"))
    old, new = _chosen(request, flow)
    context = {
        **around_flow(request, flow, "versions"),
        "page": page,
        "old": old,
        "new": new,
        "comparison": compare(text_of(old), text_of(new)) if old and new else None,
    }
    return show(request, "flow_versions", flow.name, context)


def _chosen(request: HttpRequest, flow: Flow) -> tuple[FlowVersion | None, FlowVersion | None]:
    """The two that are compared, the older one first; the one before where only one is asked for."""
    own = FlowVersion.objects.filter(flow_name=flow.name)
    asked = [_id(request.GET.get(name, "")) for name in ("from", "to")]
    new = own.filter(id=asked[1] or flow.version_id).first()
    if new is None:
        raise Http404
    if not asked[0]:
        return own.filter(id__lt=new.id).order_by("-id").first(), new
    old = own.filter(id=asked[0]).first()
    if old is None:
        raise Http404
    return (old, new) if old.id <= new.id else (new, old)


def version(request: HttpRequest, version_id: str) -> HttpResponse:
    """One version as it was saved, also of a flow that was deleted."""
    need(request, VIEW)
    found = _find(version_id)
    flow = Flow.objects.filter(name=found.flow_name).select_related("version").first()
    text = text_of(found)
    context = {
        **(around_flow(request, flow, "version") if flow else {}),
        "version": found,
        "text": text,
        "language": language_of(text),
        "drawing": render_diagram(found.document, links=False),
        "is_current": flow is not None and flow.version_id == found.id,
        "can_restore": request.user.has_perm(CHANGE if flow else ADD),
    }
    return show(request, "flow_version", found.flow_name, context)


def _id(text: str) -> str:
    """What may be a version's id. Raises `Http404`."""
    if text and not (text.isascii() and text.isalnum() and len(text) <= 24):
        raise Http404
    return text


def _find(version_id: str) -> FlowVersion:
    found = FlowVersion.objects.filter(id=_id(version_id)).first()
    if found is None:
        raise Http404
    return found


@require_POST
def restore(request: HttpRequest, version_id: str) -> HttpResponse:
    """Save the version anew as the current one, or its flow again where it was deleted."""
    need(request, ADD, CHANGE)
    found = _find(version_id)
    need(request, CHANGE if Flow.objects.filter(name=found.flow_name).exists() else ADD)
    who = person(request)
    try:
        with transaction.atomic():
            flow = saving.restore(found.id, saved_by=who.name)
            if flow is None:
                raise Http404
            record(who, "restored", "flow", flow.name, version=flow.version_id, of=found.id)
    except FlowValidationError as error:
        first = error.errors[0]
        messages.error(request, f"It breaks rules that came after it: {first.path}: {first.message}")
        return HttpResponseRedirect(url("version", found.id))
    log.info("flow_restored", flow=flow.name, version=found.id)
    messages.success(request, "The version is restored: it is saved anew, and runs now.")
    return HttpResponseRedirect(url("versions", flow.pk))
