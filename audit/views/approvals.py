"""The console's pages of approvals: the list, one question, and its decision."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from audit.view_models.approvals import (
    SHOW_ALL,
    SHOW_OPEN,
    ApprovalPage,
    build_approval_row,
    list_all_approval_rows,
    list_open_approval_rows,
)
from audit.views.executions import VIEW_PERMISSION as VIEW_EXECUTION_PERMISSION
from flyte_site.auth.activity_log import actor_of_user
from flyte_site.console.filter_forms import ChoiceFilter, FilterForm
from flyte_site.console.pages import console_url, parse_key, render_page, require_perm
from flyte_site.core.ids import is_id
from packs.approvals import service
from packs.approvals.permissions import DECIDE_PERMISSION, VIEW_PERMISSION, may_decide, may_view
from packs.models import Approval

CHANGELIST_URL_NAME = "packs_approval_changelist"
DECISIONS = {"true": True, "false": False}


def decision_context(request: HttpRequest) -> dict[str, Any]:
    """Return the context of templates in which approvals can be decided."""
    return {
        "may_decide": may_decide(request.user),
        "sees_executions": request.user.has_perm(VIEW_EXECUTION_PERMISSION),
        "max_comment_length": service.MAX_COMMENT_LENGTH,
    }


class ApprovalFilterForm(FilterForm):
    """Filters of approvals."""

    show = ChoiceFilter("Status", (SHOW_OPEN, SHOW_ALL))


@require_GET
def approval_list(request: HttpRequest) -> HttpResponse:
    """Show open approvals, or all."""
    require_perm(request, VIEW_PERMISSION)
    form = ApprovalFilterForm(request.GET)
    now, selection = timezone.now(), form.active_filters().get("show", SHOW_OPEN)
    if not form.is_valid():
        page = ApprovalPage([], 0)
    elif selection == SHOW_OPEN:
        page = list_open_approval_rows(now, after=parse_key(request.GET.get("after", "")))
    else:
        page = list_all_approval_rows(now, before=parse_key(request.GET.get("before", "")))
    next_url = (
        f"?show={selection}&{'after' if selection == SHOW_OPEN else 'before'}={page.next_key}" if page.next_key else ""
    )
    values = {
        "form": form,
        "show": selection,
        "rows": page.rows,
        "next_url": next_url,
        "is_later_page": any(name in request.GET for name in ("after", "before")),
        "back": "list",
        **decision_context(request),
    }
    return render_page(request, "console/approvals.html", "Approvals", values)


@require_GET
def approval_page(request: HttpRequest, action_id: str) -> HttpResponse:
    """Show one approval."""
    require_perm(request, VIEW_PERMISSION)
    row = build_approval_row(_get_approval_or_404(action_id), timezone.now())
    values = {"question": row, "back": "question", **decision_context(request)}
    return render_page(request, "console/approval.html", "Approval", values)


@require_POST
def decide(request: HttpRequest, action_id: str) -> HttpResponse:
    """Approve or reject."""
    require_perm(request, DECIDE_PERMISSION)
    approved = DECISIONS.get(request.POST.get("approved", ""))
    if approved is None:
        raise SuspiciousOperation("invalid decision: must be true or false")
    comment = request.POST.get("comment", "").replace("\x00", "").strip()
    approval = _get_approval_or_404(action_id)
    if len(comment) > service.MAX_COMMENT_LENGTH:
        messages.error(
            request, f"Not decided: the comment is too long; the limit is {service.MAX_COMMENT_LENGTH} characters."
        )
        return _redirect_back(request, action_id)
    try:
        service.decide_approval(action_id, actor_of_user(request), approved, comment)
    except service.ApprovalNotOpenError as error:
        messages.error(request, f"Not decided: {error}. {_shorten_question(approval)}")
    else:
        messages.success(
            request, f"{'Approved' if approved else 'Rejected'}; the flow continues. {_shorten_question(approval)}"
        )
    return _redirect_back(request, action_id)


def _shorten_question(approval: Approval) -> str:
    """Return the question, shortened for a message."""
    text = " ".join(approval.question.split())
    return text if len(text) <= 80 else f"{text[:79]}…"


def _redirect_back(request: HttpRequest, action_id: str) -> HttpResponse:
    """Redirect to the page of the decision, if this person may view it."""
    origin = request.POST.get("back", "")
    if origin == "home" or not may_view(request.user):
        return HttpResponseRedirect(reverse("admin:index"))
    url = console_url(CHANGELIST_URL_NAME) if origin == "list" else console_url("packs_approval_change", action_id)
    return HttpResponseRedirect(url)


def _get_approval_or_404(action_id: str) -> Approval:
    approval = service.find_approval(action_id) if is_id(action_id) else None
    if approval is None:
        raise Http404
    return approval
