"""Headers of proxies, accepted only from trusted ones.

Any client can send `X-Forwarded-For`, `-Proto` and `-Host`, and `X-Flyte-Host`, and so forge links and logs. From an
address that is not in FLYTE_TRUSTED_PROXIES they are removed.
"""

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

FORWARDED_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FLYTE_HOST")


class TrustedProxyMiddleware:
    """Middleware that drops the headers of untrusted senders, and applies the address and scheme from trusted ones."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
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
