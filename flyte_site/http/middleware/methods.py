"""Responses of the original server to OPTIONS, TRACE and unknown methods."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from flyte_site.http.content_types import empty_response
from flyte_site.http.problems import Problem

KNOWN_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ALLOW_ANY = "GET, HEAD, PATCH, CONNECT, DELETE, POST, PUT"


class MethodMiddleware:
    """Middleware that responds to OPTIONS in the same way for every path, and rejects TRACE and unknown methods."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method == "OPTIONS":
            return empty_response(200, {"Allow": ALLOW_ANY})
        if request.method not in KNOWN_METHODS:
            allow = ALLOW_ANY if request.method == "TRACE" else ""
            return Problem(405, f"method {request.method} is not allowed", headers={"Allow": allow}).response()
        return self.get_response(request)


def format_allow_header(methods: list[str]) -> str:
    """Format an `Allow` header in the order of the original server; OPTIONS is allowed everywhere and left out."""
    return ", ".join(method for method in KNOWN_METHODS if method in methods and method != "OPTIONS")
