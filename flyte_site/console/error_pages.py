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

from flyte_site.http.console_paths import is_console_request, wants_html_page
from flyte_site.http.problems import Problem, ProblemMiddleware, to_problem

log = structlog.get_logger(__name__)

STATUS_MESSAGES = {
    403: "You may not do this. Somebody with the role admin can give you a role that may.",
    404: "There is nothing here. It may have been deleted, or be too old to be kept.",
    405: "A page can't be asked for in this way. What changes something is done with the page's own buttons.",
    503: "The database does not answer. Try again in a moment.",
}
CSRF_MESSAGE = "The form was too old, or not one of this site's pages. Nothing was done with it."
CSRF_ADVICE: tuple[str, ...] = (
    "Go back, copy what you typed, load the page again, and send the form once more.",
    "If that does not help, sign in again. Whoever signs in, be it in another tab, makes older forms useless.",
)
COOKIES_ADVICE = "Allow this server's cookies: your browser sent none, and without them no form is taken."
# How Django's reasons begin where the browser names another host or scheme than the request does.
ORIGIN_CHECK_REASONS = ("Origin checking failed", "Referer checking failed")
PROXY_ADVICE = (
    "If it never works, tell who runs this server: a proxy before it may not pass on the address that your browser "
    "has. The log has the reason in its line form_refused."
)
INTERNAL_ERROR_MESSAGE = "The server has a defect here; its log says more."


def render_error_page(problem: Problem, request: HttpRequest | None = None) -> HttpResponse:
    """A problem as a page; with `request`, and somebody signed in, it has the console's navigation."""
    message = STATUS_MESSAGES.get(problem.status) or str(problem)
    response = HttpResponse(
        _render_page(problem.status, message, request), status=problem.status, headers=problem.headers
    )
    patch_vary_headers(response, ["Accept"])
    return response


def _render_page(status: int, message: str, request: HttpRequest | None, advice: Sequence[str] = ()) -> str:
    context = {"title": HTTPStatus(status).phrase, "detail": message, "advice": advice}
    try:
        if status < 500 and request is not None and _is_signed_in(request):
            return render_to_string("console/error_inside.html", {**site.each_context(request), **context}, request)
    except Error as error:
        log.warning("error_page_bare", error=type(error).__name__)
    return render_to_string("console/error.html", context)


def _is_signed_in(request: HttpRequest) -> bool:
    """Whether who asks is known: an error may come before that is looked at, and outside the console it never is."""
    return is_console_request(request) and hasattr(request, "user") and request.user.is_authenticated


class ErrorPageMiddleware(ProblemMiddleware):
    """The API's shape of errors; for people with browsers a page instead."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not wants_html_page(request):
            return super().__call__(request)
        response = self.get_response(request)
        if response.status_code < 400 or response.streaming:
            return response
        is_problem = response.headers.get("Content-Type", "").startswith("application/problem+json")
        if response.content and not is_problem:
            return response
        detail = json.loads(response.content)["detail"] if is_problem else ""
        headers = {name: value for name, value in response.items() if name not in ("Content-Type", "Content-Length")}
        return render_error_page(Problem(response.status_code, detail, headers=headers), request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse:
        if not wants_html_page(request):
            return super().process_exception(request, error)
        problem = to_problem(error)
        if problem is None:
            log.exception("request_failed", method=request.method, path=request.path)
            problem = Problem(500, INTERNAL_ERROR_MESSAGE)
        return render_error_page(problem, request)


def error_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    """A problem in the shape that fits its path."""
    return render_error_page(problem, request) if wants_html_page(request) else problem.response()


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that did not come from a page of this site, or from one that is too old; it says what to do."""
    log.warning("form_refused", path=request.path, reason=reason)
    advice = CSRF_ADVICE
    if reason == REASON_NO_CSRF_COOKIE:
        advice = (COOKIES_ADVICE, *CSRF_ADVICE)
    elif reason.startswith(ORIGIN_CHECK_REASONS):
        advice = (*CSRF_ADVICE, PROXY_ADVICE)
    return HttpResponse(_render_page(403, CSRF_MESSAGE, request, advice), status=403)
