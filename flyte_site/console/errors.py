"""Errors as people see them: within what stands around every page, where that can be had.

Else on a page that needs neither the database nor who is signed in.
"""

import json
from collections.abc import Sequence
from http import HTTPStatus

import structlog
from django.contrib.admin import site
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

from flyte_site.console.paths import is_console, wants_page
from flyte_site.rest.problems import Problem, ProblemMiddleware, problem_of

log = structlog.get_logger(__name__)

WORDS = {
    403: "You may not do this. Somebody with the role admin can give you a role that may.",
    404: "There is nothing here. It may have been deleted, or be too old to be kept.",
    405: "A page can't be asked for in this way. What changes something is done with the page's own buttons.",
    503: "The database does not answer. Try again in a moment.",
}
TOO_OLD = "The form was too old, or not one of this site's pages. Nothing was done with it."
WAYS_ON: tuple[str, ...] = (
    "Go back, copy what you typed, load the page again, and send the form once more.",
    "If that does not help, sign in again. Whoever signs in, be it in another tab, makes older forms useless.",
)
NEEDS_COOKIES = "Allow this server's cookies: your browser sent none, and without them no form is taken."
# How Django's reasons begin where the browser names another host or scheme than the request does.
OTHER_ADDRESS = ("Origin checking failed", "Referer checking failed")
TELL_THE_ADDRESS = (
    "If it never works, tell who runs this server: a proxy before it may not pass on the address that your browser "
    "has. The log has the reason in its line form_refused."
)
UNKNOWN = "The server has a defect here; its log says more."


def error_page(problem: Problem, request: HttpRequest | None = None) -> HttpResponse:
    """A problem as a page; with `request`, and somebody signed in, it has the console's navigation."""
    words = WORDS.get(problem.status) or str(problem)
    response = HttpResponse(_page(problem.status, words, request), status=problem.status, headers=problem.headers)
    patch_vary_headers(response, ["Accept"])
    return response


def _page(status: int, words: str, request: HttpRequest | None, advice: Sequence[str] = ()) -> str:
    told = {"title": HTTPStatus(status).phrase, "detail": words, "advice": advice}
    try:
        if status < 500 and request is not None and _is_signed_in(request):
            return render_to_string("console/error_inside.html", {**site.each_context(request), **told}, request)
    except Error as error:
        log.warning("error_page_bare", error=type(error).__name__)
    return render_to_string("console/error.html", told)


def _is_signed_in(request: HttpRequest) -> bool:
    """Whether who asks is known: an error may come before that is looked at, and outside the console it never is."""
    return is_console(request) and hasattr(request, "user") and request.user.is_authenticated


class Problems(ProblemMiddleware):
    """The API's shape of errors; for people with browsers a page instead."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not wants_page(request):
            return super().__call__(request)
        response = self.get_response(request)
        if response.status_code < 400 or response.streaming:
            return response
        shaped = response.headers.get("Content-Type", "").startswith("application/problem+json")
        if response.content and not shaped:
            return response
        detail = json.loads(response.content)["detail"] if shaped else ""
        headers = {name: value for name, value in response.items() if name not in ("Content-Type", "Content-Length")}
        return error_page(Problem(response.status_code, detail, headers=headers), request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse:
        if not wants_page(request):
            return super().process_exception(request, error)
        problem = problem_of(error)
        if problem is None:
            log.exception("request_failed", method=request.method, path=request.path)
            problem = Problem(500, UNKNOWN)
        return error_page(problem, request)


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """A problem in the shape that fits its path."""
    return error_page(problem, request) if wants_page(request) else problem.response()


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that did not come from a page of this site, or from one that is too old; it says what to do."""
    log.warning("form_refused", path=request.path, reason=reason)
    advice = WAYS_ON
    if reason == REASON_NO_CSRF_COOKIE:
        advice = (NEEDS_COOKIES, *WAYS_ON)
    elif reason.startswith(OTHER_ADDRESS):
        advice = (*WAYS_ON, TELL_THE_ADDRESS)
    return HttpResponse(_page(403, TOO_OLD, request, advice), status=403)
