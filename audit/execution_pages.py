"""The console's pages of executions: the list, one execution while it runs and after, and what people do with it."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from audit.filters import ExecutionFilters
from audit.hosted_shown import with_turns
from audit.paging import LOOK_AT, Keys, Place
from audit.search import LOOK_AT_TEXTS, executions
from audit.shown import Shown, shown
from flows import control
from flows.models import Flow
from flyte_site.changes import person, record
from flyte_site.ids import is_id

LIST = "admin:flows_execution_changelist"
PAGE = "admin:flows_execution_change"
MAY_SEE = "flows.view_execution"
MAY_CONTROL = "flows.control_execution"
# What htmx takes as: this is the last answer, ask no more.
STOP_POLLING = 286


def place_in(request: HttpRequest) -> Place:
    """The place in a list that the address names."""
    older_than, newer_than = (request.GET.get(name, "") for name in ("older_than", "newer_than"))
    return Place(older_than if is_id(older_than) else "", newer_than if is_id(newer_than) else "")


def page_links(request: HttpRequest, keys: Keys) -> dict[str, str]:
    """Addresses of the pages beside this one, with the filters that are set; empty where there is none."""
    kept = [(name, value) for name, value in request.GET.items() if value and name not in ("older_than", "newer_than")]
    links = {"newest": "?" + urlencode(kept)} if place_in(request) != Place() else {}
    for name, place in (("newer", keys.newer), ("older", keys.older)):
        if place:
            at = {"older_than": place.older_than} if place.older_than else {"newer_than": place.newer_than}
            links[name] = "?" + urlencode([*kept, *at.items()])
    return links


def around(request: HttpRequest, **values: Any) -> dict[str, Any]:
    """What every page of the console has around it, and the page's own values."""
    return {**admin.site.each_context(request), **values}


def address(view: str, *arguments: str) -> str:
    """Where a page of the console is; empty where this server has none such."""
    try:
        return reverse(f"admin:{view}", args=arguments)
    except NoReverseMatch:
        return ""


def must_have(request: HttpRequest, permission: str) -> None:
    """Raises `PermissionDenied` for people without it."""
    if not request.user.has_perm(permission):
        raise PermissionDenied


@require_GET
def execution_list(request: HttpRequest) -> HttpResponse:
    """Executions, each told in a line."""
    must_have(request, MAY_SEE)
    form = ExecutionFilters(request.GET)
    wanted = form.wanted()
    now = timezone.now()
    found = executions(wanted, place_in(request), now)
    values = {
        "title": "Executions",
        "form": form,
        "filtered": bool(form.asked()),
        "rows": with_turns(found.rows, now),
        "links": page_links(request, found.place),
        "looked_to": found.place.looked_to,
        "looked_at": LOOK_AT_TEXTS if wanted.text else LOOK_AT,
        "looked_from": found.since if wanted.text and not wanted.since else None,
        "flows_url": address("flows_flow_changelist"),
        "any_flow": found.rows or Flow.objects.exists(),
    }
    return TemplateResponse(request, "console/executions.html", around(request, **values))


@require_GET
def execution_page(request: HttpRequest, execution_id: str) -> HttpResponse:
    """One execution."""
    must_have(request, MAY_SEE)
    return TemplateResponse(request, "console/execution.html", _around_one(request, _found(execution_id)))


@require_GET
def execution_now(request: HttpRequest, execution_id: str) -> HttpResponse:
    """What may have changed since the page was made: times alone, or, where `mark` is not what it was, all."""
    must_have(request, MAY_SEE)
    one = _found(execution_id)
    values = {**_around_one(request, one), "changed": request.GET.get("mark") != one.mark}
    return TemplateResponse(request, "console/execution_now.html", values, status=200 if one.runs else STOP_POLLING)


@require_POST
def cancel(request: HttpRequest, execution_id: str) -> HttpResponse:
    """Stop an execution."""
    return _do(request, execution_id, "cancelled", lambda: control.cancel(execution_id), "The execution is cancelled.")


@require_POST
def retry(request: HttpRequest, execution_id: str, step_id: str) -> HttpResponse:
    """Queue the action of a step that ended FATAL again."""
    told = f"Step {step_id} is queued again."
    return _do(request, execution_id, "retried", lambda: control.retry(execution_id, step_id), told, step=step_id)


@require_POST
def replay(request: HttpRequest, execution_id: str) -> HttpResponse:
    """Take the event that began an execution again, and lead to what it started."""
    must_have(request, MAY_CONTROL)
    try:
        started = control.replay(_id_of(execution_id))
    except control.UnknownError:
        raise Http404 from None
    except control.NotPossibleError as error:
        messages.error(request, f"Not replayed: {error}.")
        return _back(execution_id)
    record(person(request), "replayed", "execution", execution_id, started=started)
    if not started:
        messages.warning(request, "The event was taken again, but no trigger of the flow fired on it this time.")
        return _back(execution_id)
    messages.success(request, "The event was taken again; this is what it started.")
    return _back(started[0])


def _do(request: HttpRequest, execution_id: str, what: str, act: Any, told: str, **detail: str) -> HttpResponse:
    must_have(request, MAY_CONTROL)
    try:
        _id_of(execution_id)
        if "\x00" in detail.get("step", ""):
            raise Http404
        act()
    except control.UnknownError:
        raise Http404 from None
    except control.NotPossibleError as error:
        messages.error(request, f"Not {what}: {error}.")
    else:
        record(person(request), what, "execution", execution_id, **detail)
        messages.success(request, told)
    return _back(execution_id)


def _id_of(text: str) -> str:
    """The text, where it may be an id. Raises `Http404`."""
    if not is_id(text):
        raise Http404
    return text


def _back(execution_id: str) -> HttpResponse:
    return HttpResponseRedirect(reverse(PAGE, args=[execution_id]))


def _found(execution_id: str) -> Shown:
    one = shown(execution_id, timezone.now()) if is_id(execution_id) else None
    if one is None:
        raise Http404
    return one


def _around_one(request: HttpRequest, one: Shown) -> dict[str, Any]:
    flow = Flow.objects.filter(name=one.execution.flow_name).values_list("id", flat=True).first()
    return around(
        request,
        title=one.execution.flow_name,
        one=one,
        execution=one.execution,
        may_control=request.user.has_perm(MAY_CONTROL),
        flow_url=address("flows_flow_change", str(flow)) if flow else "",
        version_url=address("flows_flowversion_change", one.execution.version_id),
    )
