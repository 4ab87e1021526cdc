"""What the original server answers to methods, beside those that its paths know."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from flyte_site.rest.media import empty
from flyte_site.rest.problems import Problem

KNOWN = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
EVERYWHERE = "GET, HEAD, PATCH, CONNECT, DELETE, POST, PUT"


class MethodMiddleware:
    """OPTIONS is answered for every path alike; TRACE and unknown methods are refused."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method == "OPTIONS":
            return empty(200, {"Allow": EVERYWHERE})
        if request.method not in KNOWN:
            allow = EVERYWHERE if request.method == "TRACE" else ""
            return Problem(405, f"method {request.method} is not allowed", headers={"Allow": allow}).response()
        return self.get_response(request)


def allowed(methods: list[str]) -> str:
    """The value of an `Allow` header in the original's order; OPTIONS is allowed everywhere and not named."""
    return ", ".join(method for method in KNOWN if method in methods and method != "OPTIONS")
