"""Helpers of the flow pages: permissions, the page frame, and JSON responses to scripts."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from flows.models import Flow
from flyte_site.http.parsing import DocumentError, parse_json
from flyte_site.http.problems import Problem

VIEW, ADD, CHANGE, DELETE = (f"flows.{verb}_flow" for verb in ("view", "add", "change", "delete"))
ENABLE, VIEW_EVENT = "flows.enable_flow", "flows.view_event"


def require_perm(request: HttpRequest, *permissions: str) -> None:
    """Require one of these permissions. Raises `PermissionDenied`."""
    if not any(map(request.user.has_perm, permissions)):
        raise PermissionDenied


def get_flow_or_404(pk: str) -> Flow:
    """Return the flow of this page, with its version. Raises `Http404`."""
    flow = Flow.objects.select_related("version").filter(pk=pk).first() if pk.isdecimal() and len(pk) < 19 else None
    if flow is None:
        raise Http404
    return flow


def render_page(request: HttpRequest, template: str, title: str, context: Mapping[str, Any]) -> TemplateResponse:
    """Render a console page."""
    site_context = {**site.each_context(request), "title": title}
    return TemplateResponse(request, f"console/{template}.html", {**site_context, **context})


def flow_context(request: HttpRequest, flow: Flow, active_tab: str) -> dict[str, Any]:
    """Return the context of the head that all pages of a flow share; `here` is the active tab."""
    return {
        "flow": flow,
        "here": active_tab,
        "can_change": request.user.has_perm(CHANGE),
        "can_enable": request.user.has_perm(ENABLE),
        "can_delete": request.user.has_perm(DELETE),
    }


def flow_url(view: str, *args: Any) -> str:
    """Return the URL of a flow page."""
    return reverse(f"admin:flows_flow_{view}", args=args)


def respond_json(request: HttpRequest, handler: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> HttpResponse:
    """Respond to a page's script: with the result of `answer` for the body's JSON object, or with the problem."""
    try:
        value = parse_json(request.body.decode())
        if not isinstance(value, dict):
            raise Problem(400, "must be an object")
        return JsonResponse(handler(value))
    except (DocumentError, UnicodeDecodeError) as error:
        problem = Problem(400, str(error))
    except Problem as error:
        problem = error
    errors = problem.errors or [{"path": "", "message": problem.detail or str(problem)}]
    return JsonResponse({"errors": errors}, status=problem.status)
