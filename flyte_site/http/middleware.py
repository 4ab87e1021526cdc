"""Middleware of all requests, and the further middleware by path: of the API, or of pages and static files.

Request ids and trusted proxies come first. Then `MiddlewareByPath` selects one of the two lists in the settings,
`FLYTE_API_MIDDLEWARE` and `FLYTE_PAGE_MIDDLEWARE`.
"""

import ipaddress
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware
from django.urls import Resolver404, resolve
from django.utils.module_loading import import_string

from flyte_site.core.observability import request_ids, tracing
from flyte_site.http.content_types import empty_response
from flyte_site.http.paths import API_PATHS, CONSOLE_PREFIX
from flyte_site.http.problems import Problem, respond_to_exception

REQUEST_ID_HEADER = "X-Request-ID"
REQUEST_ID_META_KEY, TRACEPARENT_META_KEY = (
    f"HTTP_{REQUEST_ID_HEADER.upper().replace('-', '_')}",
    f"HTTP_{tracing.TRACEPARENT_HEADER.upper()}",
)
FORWARDED_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FLYTE_HOST")
KNOWN_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ALLOW_ANY = "GET, HEAD, PATCH, CONNECT, DELETE, POST, PUT"
# For responses that are not pages of the console, such as stored values, in case a browser displays them.
DENY_ALL_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Middleware that uses a valid id from a trusted proxy, else a new one, and returns it in a response header.

    It comes before `TrustedProxyMiddleware`, which replaces the proxy's address with the client's.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Not `request.headers`, whose cache would keep headers that `TrustedProxyMiddleware` drops.
        meta = request.META
        sent_id = meta.get(REQUEST_ID_META_KEY, "")
        is_trusted = sent_id and request_ids.is_valid(sent_id) and is_trusted_proxy(meta.get("REMOTE_ADDR", ""))
        traceparent = meta.get(TRACEPARENT_META_KEY, "")
        trace = tracing.continue_trace(traceparent) if traceparent else nullcontext()
        with request_ids.bind(sent_id if is_trusted else ""), trace:
            response = self.get_response(request)
            response.headers[REQUEST_ID_HEADER] = request_ids.current()
        return response


class TrustedProxyMiddleware:
    """Middleware that drops the headers of untrusted senders, and applies the address and scheme from trusted ones.

    Any client can send `X-Forwarded-For`, `-Proto` and `-Host`, and `X-Flyte-Host`, and so forge links and logs. From
    an address that is not in FLYTE_TRUSTED_PROXIES they are removed.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta = request.META
        if not is_trusted_proxy(meta.get("REMOTE_ADDR", "")):
            for name in FORWARDED_HEADERS:
                meta.pop(name, None)
        elif any(name in meta for name in FORWARDED_HEADERS):
            apply_forwarded_headers(meta)
        return self.get_response(request)


def apply_forwarded_headers(meta: dict[str, Any]) -> None:
    """Replace the scheme and address of the proxy's connection by those in its headers."""
    scheme = meta.get("HTTP_X_FORWARDED_PROTO", "").split(",")[0].strip().lower()
    if scheme in ("http", "https"):
        meta["wsgi.url_scheme"] = scheme
        meta["SERVER_PORT"] = {"http": "80", "https": "443"}[scheme]
    for text in reversed(meta.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        address = _parse_address(text.strip())
        if address is None:
            return  # earlier entries can't be trusted either
        meta["REMOTE_ADDR"] = address
        if not is_trusted_proxy(address):
            return


@lru_cache(maxsize=1024)
def _parse_address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        return None


def is_trusted_proxy(address: str) -> bool:
    """Return True if a proxy at this address is trusted. An empty address means a Unix socket, which is trusted."""
    return not address or _is_in_networks(address, settings.FLYTE_TRUSTED_PROXIES)


@lru_cache(maxsize=1024)
def _is_in_networks(address: str, networks: tuple[Any, ...]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return any(candidate in network for network in networks for candidate in (ip, mapped) if candidate is not None)


class MiddlewareChain:
    """The middleware of a list of dotted paths, outermost first, and their hooks, as Django calls them."""

    def __init__(self, paths: Sequence[str], get_response: GetResponse) -> None:
        self.view_hooks: list[Callable[..., HttpResponse | None]] = []
        self.exception_hooks: list[Callable[..., HttpResponse | None]] = []
        for path in reversed(paths):
            middleware = import_string(path)(get_response)
            if hasattr(middleware, "process_view"):
                self.view_hooks.insert(0, middleware.process_view)
            if hasattr(middleware, "process_exception"):
                self.exception_hooks.append(middleware.process_exception)
            get_response = convert_exception_to_response(middleware)  # type: ignore[assignment]
        self.get_response = get_response

    def process_view(self, *call: Any) -> HttpResponse | None:
        """Call the hooks for a view until one of them returns a response."""
        return next((response for hook in self.view_hooks if (response := hook(*call)) is not None), None)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Call the hooks for an exception in a view until one of them returns a response."""
        hooks = self.exception_hooks
        return next((response for hook in hooks if (response := hook(request, error)) is not None), None)


class MiddlewareByPath:
    """Middleware that passes requests of the API through one chain of middleware, and all others through another."""

    def __init__(self, get_response: GetResponse) -> None:
        self.api = MiddlewareChain(settings.FLYTE_API_MIDDLEWARE, get_response)
        self.pages = MiddlewareChain(settings.FLYTE_PAGE_MIDDLEWARE, get_response)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._select(request).get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        return self._select(request).process_view(request, *view)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return self._select(request).process_exception(request, error)

    def _select(self, request: HttpRequest) -> MiddlewareChain:
        return self.api if API_PATHS.match(request.path) else self.pages


class ApiHeadersMiddleware(SecurityMiddleware):
    """Middleware that adds the headers of responses of the API, in case a browser displays them: nothing can load."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        secured = super().process_response(request, response)
        secured.headers.setdefault("Content-Security-Policy", DENY_ALL_POLICY)
        secured.headers.setdefault("X-Frame-Options", settings.X_FRAME_OPTIONS)
        return secured


class MethodMiddleware:
    """Middleware that responds to OPTIONS with the methods of the path, and rejects TRACE and unknown methods."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method == "OPTIONS":
            return empty_response(200, {"Allow": _find_allowed_methods(request.path_info)})
        if request.method not in KNOWN_METHODS:
            allow = ALLOW_ANY if request.method == "TRACE" else ""
            return Problem(405, f"method {request.method} is not allowed", headers={"Allow": allow}).response()
        return self.get_response(request)


class ProblemMiddleware:
    """Middleware that converts all other errors to the same form: unknown paths, errors outside views, and defects."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_problem = response.headers.get("Content-Type", "").startswith("application/problem+json")
        if response.status_code < 400 or is_problem or response.streaming:
            return response
        headers = {name: value for name, value in response.items() if name != "Content-Type"}
        return Problem(response.status_code, headers=headers).response()

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse:
        return respond_to_exception(request, error)


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
