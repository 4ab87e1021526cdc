"""Error pages for browsers: inside the console's layout if possible, else a page that needs no database or session."""

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

from flyte_site.db.conflicts import UNAVAILABLE_DETAIL
from flyte_site.http.input.body import format_size, get_body_limit, get_content_length
from flyte_site.http.middleware import ProblemMiddleware
from flyte_site.http.paths import is_console_request, wants_html_page
from flyte_site.http.problems import Problem, internal_error_detail, to_problem

log = structlog.get_logger(__name__)

STATUS_MESSAGES = {
    403: "You are not allowed to do this. An admin can give you a role with the permission.",
    404: "Page not found. Check the address. The item may have been deleted.",
    405: "This page does not support that request method.",
    503: "The database is unavailable. Try again in a moment.",
}
CSRF_MESSAGE = "The form has expired, or does not come from a page of this site. Nothing was changed."
CSRF_ADVICE: tuple[str, ...] = (
    "Go back, copy your input, reload the page, and send the form again.",
    "If that does not help, sign in again. A sign-in, even in a different tab, makes older forms invalid.",
)
COOKIES_ADVICE = "Allow this server's cookies: your browser sent none, and forms need them."
# The start of Django's reasons if the host or scheme that the browser names differs from the request's.
ORIGIN_CHECK_REASONS = ("Origin checking failed", "Referer checking failed")
PROXY_ADVICE = (
    "If it never works, contact the operator of this server: perhaps a proxy does not forward the address that "
    "your browser uses. The log line form_refused contains the reason."
)


def render_error_page(problem: Problem, request: HttpRequest | None = None) -> HttpResponse:
    """Render a problem as a page; with the console's navigation if `request` has a signed-in user."""
    message, form_url = STATUS_MESSAGES.get(problem.status) or str(problem), ""
    if problem.status == 503 and problem.detail not in ("", UNAVAILABLE_DETAIL):
        message = f"{problem.detail[0].upper()}{problem.detail[1:]}."
    if problem.status == 413 and request is not None:
        message, form_url = _describe_size_limit(request), request.path if is_console_request(request) else ""
    page = _render_page(problem.status, message, request, form_url=form_url)
    response = HttpResponse(page, status=problem.status, headers=problem.headers)
    patch_vary_headers(response, ["Accept"])
    return response


def _describe_size_limit(request: HttpRequest) -> str:
    limit = get_body_limit(request.path)
    return (
        f"You sent {format_size(get_content_length(request))}, and the limit is {format_size(limit.max_bytes)}. "
        f"Nothing was saved{', and your input is lost' if is_console_request(request) else ''}. "
        f"The operator of this server can raise the limit with {limit.setting}."
    )


def _render_page(
    status: int, message: str, request: HttpRequest | None, advice: Sequence[str] = (), form_url: str = ""
) -> str:
    context = {"title": HTTPStatus(status).phrase, "detail": message, "advice": advice, "form_url": form_url}
    try:
        if status < 500 and request is not None and _is_signed_in(request):
            return render_to_string("console/error_inside.html", {**site.each_context(request), **context}, request)
    except Error as error:
        log.warning("error_page_bare", error=type(error).__name__)
    return render_to_string("console/error.html", context)


def _is_signed_in(request: HttpRequest) -> bool:
    """Return True for a signed-in user; False outside the console, or if the error came before authentication."""
    return is_console_request(request) and hasattr(request, "user") and request.user.is_authenticated


class ErrorPageMiddleware(ProblemMiddleware):
    """Errors as pages for browsers, and in the API's format for all other clients."""

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
            problem = Problem(500, internal_error_detail())
        return render_error_page(problem, request)


def error_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Render a problem as a page or in the API's format, depending on the request."""
    return render_error_page(problem, request) if wants_html_page(request) else problem.response()


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Render 403 for a form that has expired or is not from a page of this site, with advice."""
    log.warning("form_refused", path=request.path, reason=reason)
    advice = CSRF_ADVICE
    if reason == REASON_NO_CSRF_COOKIE:
        advice = (COOKIES_ADVICE, *CSRF_ADVICE)
    elif reason.startswith(ORIGIN_CHECK_REASONS):
        advice = (*CSRF_ADVICE, PROXY_ADVICE)
    return HttpResponse(_render_page(403, CSRF_MESSAGE, request, advice), status=403)
