"""Each request gets an id, which its log lines and its answer have; and goes on with the trace of its sender."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from flyte_site import correlation, tracing
from flyte_site.rest.proxies import is_trusted

HEADER = "X-Request-ID"
GIVEN, TRACE = f"HTTP_{HEADER.upper().replace('-', '_')}", f"HTTP_{tracing.HEADER.upper()}"


class RequestIdMiddleware:
    """Takes the id that a trusted proxy sends, if it is sane, else makes one; the answer says which.

    It stands before `ProxyMiddleware`, which puts the caller's address in the place of the proxy's.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Not `request.headers`, which would keep for all that follow what `ProxyMiddleware` is going to drop.
        meta = request.META
        given = meta.get(GIVEN, "")
        known = given if correlation.is_sane(given) and is_trusted(meta.get("REMOTE_ADDR", "")) else ""
        with correlation.within(known), tracing.continued(meta.get(TRACE, "")):
            response = self.get_response(request)
            response.headers[HEADER] = correlation.current()
        return response
