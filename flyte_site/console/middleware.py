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

from flyte_site.console.errors import error_page
from flyte_site.console.paths import API, is_console
from flyte_site.rest.links import base_url
from flyte_site.rest.problems import problem_of

BEGAN, USED = "began", "used"
NOTED_AGAIN_SECONDS = 60


class ForConsole:
    """Lets requests for other paths pass by."""

    def __call__(self, request: HttpRequest) -> Any:
        if is_console(request):
            return super().__call__(request)  # type: ignore[misc]
        return self.get_response(request)  # type: ignore[attr-defined]

    def process_view(self, request: HttpRequest, *view: Any) -> Any:
        inherited = getattr(super(), "process_view", None)
        return inherited(request, *view) if inherited and is_console(request) else None


class Sessions(ForConsole, SessionMiddleware):
    """A session a browser. Where the browser speaks HTTPS, here or to a proxy, its cookies are for HTTPS alone."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        answer = super().process_response(request, response)
        if base_url(request).startswith("https:"):
            for cookie in answer.cookies.values():
                cookie["secure"] = True
        return answer


class Csrf(ForConsole, CsrfViewMiddleware):
    """Forms are this site's own: from the scheme that the browser sees, which a proxy that ends TLS tells."""

    def __call__(self, request: HttpRequest) -> Any:
        if is_console(request) and base_url(request).startswith("https:"):
            request.META["wsgi.url_scheme"] = "https"
        return super().__call__(request)


class Authentication(ForConsole, AuthenticationMiddleware):
    """Who is signed in."""


class Messages(ForConsole, MessageMiddleware):
    """What the next page is to say."""


class SessionLimits(ForConsole):
    """Ends sessions that nobody used for FLYTE_SESSION_IDLE_SECONDS, and every one after FLYTE_SESSION_SECONDS.

    A page that refreshes itself is no use. When it was last used is noted once a minute, so that few requests write.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = self.inner = get_response

    def __call__(self, request: HttpRequest) -> Any:
        try:
            if is_console(request) and request.user.is_authenticated:
                self.judge(request, time.time())
        except Error as error:  # no view is reached yet, so nobody else makes a page of it
            problem = problem_of(error)
            if problem is None:
                raise
            return error_page(problem)
        return self.inner(request)

    def judge(self, request: HttpRequest, now: float) -> None:
        """Ends the session, or notes that it is used."""
        session = request.session
        began, used = session.get(BEGAN), session.get(USED)
        if began is None or used is None:
            session.set_expiry(None)  # whatever it was while somebody was on the way
            session[BEGAN] = session[USED] = now
        elif now - began >= settings.FLYTE_SESSION_SECONDS or now - used >= settings.FLYTE_SESSION_IDLE_SECONDS:
            logout(request)
        elif now - used >= NOTED_AGAIN_SECONDS and request.headers.get("HX-Request") != "true":
            session[USED] = now


class Throttling(ForConsole, AxesMiddleware):  # type: ignore[misc]
    """Says when there were too many wrong passwords."""


# For what is no page of ours: stored values too, should a browser ever show one.
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class ContentSecurityPolicy(CSPMiddleware):
    """What a page may load and run; what is no page, nothing. No cache keeps what was made for one person."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_html = response.headers.get("Content-Type", "").startswith("text/html")
        if not is_html or API.match(request.path):
            response.headers.setdefault("Content-Security-Policy", NOTHING)
            return response
        if is_console(request):
            response.headers.setdefault("Cache-Control", "no-store")
        return super().process_response(request, response)
