"""Responses to OPTIONS, and those of the original server to TRACE and unknown methods."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

from flyte_site.http.console_paths import CONSOLE_PREFIX
from flyte_site.http.content_types import empty_response
from flyte_site.http.problems import Problem

KNOWN_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ALLOW_ANY = "GET, HEAD, PATCH, CONNECT, DELETE, POST, PUT"


class MethodMiddleware:
    """Middleware that responds to OPTIONS with the methods of the path, and rejects TRACE and unknown methods."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method == "OPTIONS":
            return empty_response(200, {"Allow": _find_allowed_methods(request.path_info)})
        if request.method not in KNOWN_METHODS:
            allow = ALLOW_ANY if request.method == "TRACE" else ""
            return Problem(405, f"method {request.method} is not allowed", headers={"Allow": allow}).response()
        return self.get_response(request)


def _find_allowed_methods(path: str) -> str:
    """Return the `Allow` header of a path; all methods, as in the original, if the path or its methods are unknown."""
    try:
        view = resolve(path).func
    except Resolver404:
        return ALLOW_ANY
    if path.startswith(CONSOLE_PREFIX):
        return ALLOW_ANY
    view_class: Any = getattr(view, "view_class", None)
    # The views of the API that are functions are documentation, which is only read.
    return format_allow_header(view_class().methods() if hasattr(view_class, "methods") else ["GET", "HEAD"])


def format_allow_header(methods: list[str]) -> str:
    """Format an `Allow` header in the order of the original server; OPTIONS is allowed everywhere and left out."""
    return ", ".join(method for method in KNOWN_METHODS if method in methods and method != "OPTIONS")
