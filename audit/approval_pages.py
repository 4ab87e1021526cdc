"""The console's pages of approvals: what waits for a person, one question, and its decision."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from audit.approvals_shown import ALL, OPEN, history, number_in, question_of, waiting
from audit.execution_pages import MAY_SEE as MAY_SEE_EXECUTIONS
from audit.execution_pages import address, around, must_have
from flyte_site.changes import person
from flyte_site.ids import is_id
from packs.models import Approval
from packs.webapi import approvals

LIST = "packs_approval_changelist"
MAY_SEE = "packs.view_approval"
MAY_DECIDE = "packs.decide_approval"
DECISIONS = {"true": True, "false": False}


def deciding(request: HttpRequest) -> dict[str, Any]:
    """What templates need where questions can be decided."""
    return {
        "may_decide": request.user.has_perm(MAY_DECIDE),
        "sees_executions": request.user.has_perm(MAY_SEE_EXECUTIONS),
        "most_comment": approvals.MAX_COMMENT,
    }


@require_GET
def approval_list(request: HttpRequest) -> HttpResponse:
    """What waits for a decision, or all that was ever asked."""
    must_have(request, MAY_SEE)
    now, show = timezone.now(), ALL if request.GET.get("show") == ALL else OPEN
    if show == OPEN:
        found = waiting(now, after=number_in(request.GET, "after"))
    else:
        found = history(now, before=number_in(request.GET, "before"))
    onward = f"?show={show}&{'after' if show == OPEN else 'before'}={found.after}" if found.after else ""
    values = {
        "title": "Approvals",
        "show": show,
        "rows": found.rows,
        "onward": onward,
        "behind_others": any(name in request.GET for name in ("after", "before")),
        "back": "list",
        **deciding(request),
    }
    return TemplateResponse(request, "console/approvals.html", around(request, **values))


@require_GET
def approval_page(request: HttpRequest, action_id: str) -> HttpResponse:
    """One question."""
    must_have(request, MAY_SEE)
    question = question_of(_found(action_id), timezone.now())
    values = {"title": "Approval", "question": question, "back": "question", **deciding(request)}
    return TemplateResponse(request, "console/approval.html", around(request, **values))


@require_POST
def decide(request: HttpRequest, action_id: str) -> HttpResponse:
    """Approve or reject."""
    must_have(request, MAY_DECIDE)
    approved = DECISIONS.get(request.POST.get("approved", ""))
    if approved is None:
        raise SuspiciousOperation("a decision is true or false")
    comment = request.POST.get("comment", "").replace("\x00", "").strip()
    asked = _found(action_id)
    if len(comment) > approvals.MAX_COMMENT:
        messages.error(request, f"Not decided: a comment may have {approvals.MAX_COMMENT} characters.")
        return _back(request, action_id)
    try:
        approvals.decide(action_id, person(request), approved, comment)
    except approvals.NotOpenError as reason:
        messages.error(request, f"Not decided: {reason}. {_short(asked)}")
    else:
        messages.success(request, f"{'Approved' if approved else 'Rejected'}, and the flow goes on. {_short(asked)}")
    return _back(request, action_id)


def _short(asked: Approval) -> str:
    """The question, as much of it as tells it from others."""
    text = " ".join(asked.question.split())
    return text if len(text) <= 80 else f"{text[:79]}…"


def _back(request: HttpRequest, action_id: str) -> HttpResponse:
    """To where the decision was asked for, as far as this person may go there."""
    place = request.POST.get("back", "")
    if place == "home" or not request.user.has_perm(MAY_SEE):
        return HttpResponseRedirect(reverse("admin:index"))
    found = address(LIST) if place == "list" else address("packs_approval_change", action_id)
    return HttpResponseRedirect(found)


def _found(action_id: str) -> Approval:
    asked = approvals.find(action_id) if is_id(action_id) else None
    if asked is None:
        raise Http404
    return asked
