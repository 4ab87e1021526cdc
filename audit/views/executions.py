"""The console's pages of executions: the list, one execution with live updates, and its controls."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from audit.search.executions import MAX_SCANNED_TEXTS, ExecutionPage, list_execution_rows
from audit.search.keyset_page import MAX_SCANNED, KeysetCursor, KeysetPage
from audit.view_models.execution import ExecutionDetail, build_execution_detail
from audit.view_models.hosted import add_quota_waits
from audit.views.filters import ExecutionFilterForm
from flows.engine import control
from flows.engine.execution_locks import take_turn
from flows.models import Flow
from flyte_site.auth.activity_log import actor_of_user, log_activity
from flyte_site.console.pages import console_url, render_page, require_perm
from flyte_site.core.ids import is_id
from flyte_site.db.conflicts import retry_conflicts

CHANGELIST_URL_NAME = "admin:flows_execution_changelist"
CHANGE_URL_NAME = "admin:flows_execution_change"
VIEW_PERMISSION = "flows.view_execution"
CONTROL_PERMISSION = "flows.control_execution"
# Status with which htmx stops polling.
STOP_POLLING_STATUS = 286


def parse_cursor(request: HttpRequest) -> KeysetCursor:
    """Parse the page cursor of the query string."""
    older_than, newer_than = (request.GET.get(name, "") for name in ("older_than", "newer_than"))
    return KeysetCursor(older_than if is_id(older_than) else "", newer_than if is_id(newer_than) else "")


def build_page_links(request: HttpRequest, page: KeysetPage) -> dict[str, str]:
    """Build the addresses of the adjacent pages, with the current filters; none for pages that don't exist."""
    kept_parameters = [
        (name, value) for name, value in request.GET.items() if value and name not in ("older_than", "newer_than")
    ]
    links = {"newest": "?" + urlencode(kept_parameters)} if parse_cursor(request) != KeysetCursor() else {}
    for name, cursor in (("newer", page.newer), ("older", page.older)):
        if cursor:
            cursor_parameters = (
                {"older_than": cursor.older_than} if cursor.older_than else {"newer_than": cursor.newer_than}
            )
            links[name] = "?" + urlencode([*kept_parameters, *cursor_parameters.items()])
    return links


@require_GET
def execution_list(request: HttpRequest) -> HttpResponse:
    """Show executions, one line each."""
    require_perm(request, VIEW_PERMISSION)
    form = ExecutionFilterForm(request.GET)
    query = form.build_query()
    now = timezone.now()
    page = (
        list_execution_rows(query, parse_cursor(request), now)
        if form.is_valid()
        else ExecutionPage([], KeysetPage([]), None)
    )
    values = {
        "form": form,
        "filtered": form.is_filtered(),
        "rows": add_quota_waits(page.rows, now),
        "links": build_page_links(request, page.keyset_page),
        "scanned_to": page.keyset_page.scanned_to,
        "scan_limit": MAX_SCANNED_TEXTS if query.text else MAX_SCANNED,
        "searched_since": page.since if query.text and not query.since else None,
        "flows_url": console_url("flows_flow_changelist"),
        "any_flow": page.rows or Flow.objects.exists(),
    }
    return render_page(request, "console/executions.html", "Executions", values)


@require_GET
def execution_page(request: HttpRequest, execution_id: str) -> HttpResponse:
    """Show one execution."""
    require_perm(request, VIEW_PERMISSION)
    detail = _get_execution_or_404(execution_id)
    title = detail.execution.flow_name
    return render_page(request, "console/execution.html", title, _execution_context(request, detail))


@require_GET
def execution_fragment(request: HttpRequest, execution_id: str) -> HttpResponse:
    """Show what may have changed since the page was loaded: only times or, if `mark` is outdated, everything."""
    require_perm(request, VIEW_PERMISSION)
    detail = _get_execution_or_404(execution_id)
    values = {**_execution_context(request, detail), "changed": request.GET.get("mark") != detail.fingerprint}
    status = 200 if detail.is_running else STOP_POLLING_STATUS
    return render_page(request, "console/execution_now.html", detail.execution.flow_name, values, status)


@require_POST
def cancel_execution(request: HttpRequest, execution_id: str) -> HttpResponse:
    """Cancel an execution."""
    return _control_execution(
        request,
        execution_id,
        "cancelled",
        lambda: control.cancel_execution(execution_id),
        "The execution is cancelled.",
    )


@require_POST
def retry_step(request: HttpRequest, execution_id: str, step_id: str) -> HttpResponse:
    """Queue the failed action of a step again."""
    success_message = f"Step {step_id} is queued again."
    return _control_execution(
        request,
        execution_id,
        "retried",
        lambda: control.retry_step(execution_id, step_id),
        success_message,
        step=step_id,
    )


@require_POST
def replay_execution(request: HttpRequest, execution_id: str) -> HttpResponse:
    """Handle the trigger event of an execution again, and redirect to the execution that it started."""
    require_perm(request, CONTROL_PERMISSION)
    try:
        started = control.replay_event(_require_id(execution_id))
    except control.ExecutionNotFoundError:
        raise Http404 from None
    except control.InvalidExecutionStateError as error:
        messages.error(request, f"Not replayed: {error}.")
        return _redirect_to_execution(execution_id)
    log_activity(actor_of_user(request), "replayed", "execution", execution_id, started=started)
    if not started:
        messages.warning(request, "The event was replayed, but no trigger of the flow fired this time.")
        return _redirect_to_execution(execution_id)
    messages.success(request, "The event was replayed and started this execution.")
    return _redirect_to_execution(started[0])


def _control_execution(
    request: HttpRequest, execution_id: str, activity: str, control_call: Any, success_message: str, **detail: str
) -> HttpResponse:
    require_perm(request, CONTROL_PERMISSION)
    try:
        _require_id(execution_id)
        if "\x00" in detail.get("step", ""):
            raise Http404
        with take_turn(execution_id):
            retry_conflicts(control_call)()
    except control.ExecutionNotFoundError:
        raise Http404 from None
    except control.InvalidExecutionStateError as error:
        messages.error(request, f"Not {activity}: {error}.")
    else:
        log_activity(actor_of_user(request), activity, "execution", execution_id, **detail)
        messages.success(request, success_message)
    return _redirect_to_execution(execution_id)


def _require_id(text: str) -> str:
    """Return the text if it is a valid id; otherwise raise `Http404`."""
    if not is_id(text):
        raise Http404
    return text


def _redirect_to_execution(execution_id: str) -> HttpResponse:
    return HttpResponseRedirect(reverse(CHANGE_URL_NAME, args=[execution_id]))


def _get_execution_or_404(execution_id: str) -> ExecutionDetail:
    detail = build_execution_detail(execution_id, timezone.now()) if is_id(execution_id) else None
    if detail is None:
        raise Http404
    return detail


def _execution_context(request: HttpRequest, detail: ExecutionDetail) -> dict[str, Any]:
    flow_id = Flow.objects.filter(name=detail.execution.flow_name).values_list("id", flat=True).first()
    return {
        "detail": detail,
        "execution": detail.execution,
        "may_control": request.user.has_perm(CONTROL_PERMISSION),
        "flow_url": console_url("flows_flow_change", str(flow_id)) if flow_id else "",
        "version_url": console_url("flows_flowversion_change", detail.execution.version_id),
    }
