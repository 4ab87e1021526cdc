"""Django's middleware for people with browsers. The API has no sessions, and does not pay for them."""

import time
from collections.abc import Callable
from typing import Any

from axes.middleware import AxesMiddleware
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware

from flyte_site.console.error_pages import render_error_page
from flyte_site.http.console_paths import API_PATHS, is_console_request
from flyte_site.http.links import get_base_url
from flyte_site.http.problems import to_problem

SESSION_STARTED_KEY, SESSION_USED_KEY = "began", "used"
USED_RESOLUTION_SECONDS = 60


class ConsoleOnly:
    """Lets requests for other paths pass by."""

    def __call__(self, request: HttpRequest) -> Any:
        if is_console_request(request):
            return super().__call__(request)  # type: ignore[misc]
        return self.get_response(request)  # type: ignore[attr-defined]

    def process_view(self, request: HttpRequest, *args: Any) -> Any:
        inherited = getattr(super(), "process_view", None)
        return inherited(request, *args) if inherited and is_console_request(request) else None


class ConsoleSessionMiddleware(ConsoleOnly, SessionMiddleware):
    """A session a browser. Where the browser speaks HTTPS, here or to a proxy, its cookies are for HTTPS alone."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        final_response = super().process_response(request, response)
        if get_base_url(request).startswith("https:"):
            for cookie in final_response.cookies.values():
                cookie["secure"] = True
        return final_response


class ConsoleCsrfMiddleware(ConsoleOnly, CsrfViewMiddleware):
    """Forms are this site's own: from the scheme that the browser sees, which a proxy that ends TLS tells."""

    def __call__(self, request: HttpRequest) -> Any:
        if is_console_request(request) and get_base_url(request).startswith("https:"):
            request.META["wsgi.url_scheme"] = "https"
        return super().__call__(request)


class ConsoleAuthenticationMiddleware(ConsoleOnly, AuthenticationMiddleware):
    """Who is signed in."""


class ConsoleMessageMiddleware(ConsoleOnly, MessageMiddleware):
    """What the next page is to say."""


class SessionLimitMiddleware(ConsoleOnly):
    """Ends sessions that nobody used for FLYTE_SESSION_IDLE_SECONDS, and every one after FLYTE_SESSION_SECONDS.

    A page that refreshes itself is no use. When it was last used is noted once a minute, so that few requests write.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = self.inner = get_response

    def __call__(self, request: HttpRequest) -> Any:
        try:
            if is_console_request(request) and request.user.is_authenticated:
                self.enforce_limits(request, time.time())
        except Error as error:  # no view is reached yet, so nobody else makes a page of it
            problem = to_problem(error)
            if problem is None:
                raise
            return render_error_page(problem)
        return self.inner(request)

    def enforce_limits(self, request: HttpRequest, now: float) -> None:
        """Ends the session, or notes that it is used."""
        session = request.session
        started_at, used_at = session.get(SESSION_STARTED_KEY), session.get(SESSION_USED_KEY)
        if started_at is None or used_at is None:
            session.set_expiry(None)  # whatever it was while somebody was on the way
            session[SESSION_STARTED_KEY] = session[SESSION_USED_KEY] = now
        elif now - started_at >= settings.FLYTE_SESSION_SECONDS or now - used_at >= settings.FLYTE_SESSION_IDLE_SECONDS:
            logout(request)
        elif now - used_at >= USED_RESOLUTION_SECONDS and request.headers.get("HX-Request") != "true":
            session[SESSION_USED_KEY] = now


class LoginThrottlingMiddleware(ConsoleOnly, AxesMiddleware):  # type: ignore[misc]
    """Says when there were too many wrong passwords."""


# For what is no page of ours: stored values too, should a browser ever show one.
DENY_ALL_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """What a page may load and run; what is no page, nothing. No cache keeps what was made for one person."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_html = response.headers.get("Content-Type", "").startswith("text/html")
        if not is_html or API_PATHS.match(request.path):
            response.headers.setdefault("Content-Security-Policy", DENY_ALL_POLICY)
            return response
        if is_console_request(request):
            response.headers.setdefault("Cache-Control", "no-store")
        return super().process_response(request, response)
