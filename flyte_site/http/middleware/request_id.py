"""Request ids for log lines and responses, and the trace of the sender."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from flyte_site.core import request_ids, tracing
from flyte_site.http.middleware.trusted_proxies import is_trusted_proxy

REQUEST_ID_HEADER = "X-Request-ID"
REQUEST_ID_META_KEY, TRACEPARENT_META_KEY = (
    f"HTTP_{REQUEST_ID_HEADER.upper().replace('-', '_')}",
    f"HTTP_{tracing.TRACEPARENT_HEADER.upper()}",
)


class RequestIdMiddleware:
    """Middleware that uses a valid id from a trusted proxy, else a new one, and returns it in a response header.

    It comes before `TrustedProxyMiddleware`, which replaces the proxy's address with the client's.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Not `request.headers`, whose cache would keep headers that `TrustedProxyMiddleware` drops.
        meta = request.META
        sent_id = meta.get(REQUEST_ID_META_KEY, "")
        trusted_id = sent_id if request_ids.is_valid(sent_id) and is_trusted_proxy(meta.get("REMOTE_ADDR", "")) else ""
        with request_ids.bind(trusted_id), tracing.continue_trace(meta.get(TRACEPARENT_META_KEY, "")):
            response = self.get_response(request)
            response.headers[REQUEST_ID_HEADER] = request_ids.current()
        return response
