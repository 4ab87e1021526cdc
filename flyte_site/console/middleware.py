"""Middleware of the console: sessions, signed-in users, forms and messages, which the API does not have."""

import time
from collections.abc import Callable
from typing import Any

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware

from flyte_site.console.error_pages import render_error_page
from flyte_site.http.middleware import DENY_ALL_POLICY, GetResponse, MiddlewareChain
from flyte_site.http.output.links import get_base_url
from flyte_site.http.paths import is_console_request
from flyte_site.http.problems import to_problem

SESSION_STARTED_KEY, SESSION_USED_KEY = "began", "used"
USED_RESOLUTION_SECONDS = 60


class ConsoleMiddleware:
    """A further chain of middleware, FLYTE_CONSOLE_MIDDLEWARE, for requests of the console; others skip it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.console = MiddlewareChain(settings.FLYTE_CONSOLE_MIDDLEWARE, get_response)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.console.get_response(request) if is_console_request(request) else self.get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        return self.console.process_view(request, *view) if is_console_request(request) else None


class HttpsSessionMiddleware(SessionMiddleware):
    """One session per browser. If the browser uses HTTPS, here or at a proxy, its cookies are sent over HTTPS only."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        final_response = super().process_response(request, response)
        if get_base_url(request).startswith("https:"):
            for cookie in final_response.cookies.values():
                cookie["secure"] = True
        return final_response


class HttpsCsrfMiddleware(CsrfViewMiddleware):
    """Protection against forms of other sites. A proxy that ends TLS reports the scheme that the browser uses."""

    def process_request(self, request: HttpRequest) -> None:
        if get_base_url(request).startswith("https:"):
            request.META["wsgi.url_scheme"] = "https"
        super().process_request(request)


class SessionLimitMiddleware:
    """Expiry of sessions: after FLYTE_SESSION_IDLE_SECONDS without use, and always after FLYTE_SESSION_SECONDS.

    Automatic refreshes of a page do not count as use. The time of use is updated once a minute, to write rarely.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            if request.user.is_authenticated:
                self.enforce_limits(request, time.time())
        except Error as error:  # raised before any view, so nothing else renders it
            problem = to_problem(error)
            if problem is None:
                raise
            return render_error_page(problem)
        return self.get_response(request)

    def enforce_limits(self, request: HttpRequest, now: float) -> None:
        """End the session, or record that it is used."""
        session = request.session
        started_at, used_at = session.get(SESSION_STARTED_KEY), session.get(SESSION_USED_KEY)
        if started_at is None or used_at is None:
            session.set_expiry(None)  # replaces the short expiry during a sign-in at the provider
            session[SESSION_STARTED_KEY] = session[SESSION_USED_KEY] = now
        elif now - started_at >= settings.FLYTE_SESSION_SECONDS or now - used_at >= settings.FLYTE_SESSION_IDLE_SECONDS:
            logout(request)
        elif now - used_at >= USED_RESOLUTION_SECONDS and request.headers.get("HX-Request") != "true":
            session[SESSION_USED_KEY] = now


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """The Content-Security-Policy: pages load only this server's files, other responses nothing.

    Pages of the console are not cached, because they depend on the user.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_html = response.headers.get("Content-Type", "").startswith("text/html")
        if not is_html:
            response.headers.setdefault("Content-Security-Policy", DENY_ALL_POLICY)
            return response
        if is_console_request(request):
            response.headers.setdefault("Cache-Control", "no-store")
        return super().process_response(request, response)
