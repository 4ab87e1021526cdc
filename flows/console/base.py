"""Helpers of the flow pages: permissions, the head of a flow's pages, and JSON responses to scripts."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse

from flows.models import Flow
from flyte_site.console.pages import parse_key
from flyte_site.http.input.parsing import DocumentError, parse_json
from flyte_site.http.problems import Problem

VIEW, ADD, CHANGE, DELETE = (f"flows.{verb}_flow" for verb in ("view", "add", "change", "delete"))
ENABLE, VIEW_EVENT = "flows.enable_flow", "flows.view_event"


def get_flow_or_404(pk: str) -> Flow:
    """Return the flow of this page, with its version. Raises `Http404`."""
    flow = Flow.objects.select_related("version").filter(pk=parse_key(pk)).first()
    if flow is None:
        raise Http404
    return flow


def flow_context(request: HttpRequest, flow: Flow, active_tab: str) -> dict[str, Any]:
    """Return the context of the header that all pages of a flow share."""
    return {
        "flow": flow,
        "active_tab": active_tab,
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
