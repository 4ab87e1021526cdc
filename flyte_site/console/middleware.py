"""Django's middleware for people with browsers. The API has no sessions, and does not pay for them."""

from typing import Any

from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware

from flyte_site.console.paths import is_console
from flyte_site.rest.links import base_url


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
    """A session a browser."""


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


class ContentSecurityPolicy(CSPMiddleware):
    """What a page may load and run. Only pages need to say so; and no cache keeps what was made for one person."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        if is_console(request):
            response.headers.setdefault("Cache-Control", "no-store")
        return super().process_response(request, response)
