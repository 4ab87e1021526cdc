"""Absolute links of responses, with rels that end in the names that clients search for."""

import re
from typing import TypedDict
from urllib.parse import quote

from django.http import HttpRequest

# The characters that RFC 3986 allows unescaped in a path segment, which do not include "/".
SEGMENT_SAFE = "!$&'()*+,;=:@"
HOST_PATTERN = re.compile(r"[A-Za-z0-9._~\-\[\]:%]+")


class Link(TypedDict):
    """One link: an absolute `href`, and its `rel`."""

    href: str
    rel: str


def build_path(*segments: str) -> str:
    """The escaped path of these segments, e.g. `/v1/packs/A%2Fb`."""
    return "".join("/" + quote(segment, safe=SEGMENT_SAFE) for segment in segments)


def get_base_url(request: HttpRequest) -> str:
    """Scheme and host as the caller sees them, e.g. `https://flyte.example.org:8443`.

    `X-Flyte-Host` has precedence, then the first of `X-Forwarded-Host`, then `Host`.
    """
    return f"{_scheme(request)}://{_host(request)}"


def _scheme(request: HttpRequest) -> str:
    forwarded = request.META.get("HTTP_X_FORWARDED_PROTO", "").split(",")[0].strip().lower()
    return forwarded if forwarded in ("http", "https") else str(request.scheme)


def _host(request: HttpRequest) -> str:
    for header in ("HTTP_X_FLYTE_HOST", "HTTP_X_FORWARDED_HOST"):
        host = str(request.META.get(header, "")).split(",")[0].strip()
        if HOST_PATTERN.fullmatch(host):
            return host
    return request.get_host()


class LinkBuilder:
    """A builder of links for the response to one request."""

    def __init__(self, request: HttpRequest) -> None:
        self.base = get_base_url(request)

    def href(self, *segments: str, query: str = "") -> str:
        """The absolute URL of a path given by its unescaped segments; `query` is escaped already."""
        return self.base + (build_path(*segments) or "/") + (f"?{query}" if query else "")

    def to(self, rel: str, *segments: str, query: str = "") -> Link:
        """A link with a plain rel: `self`, `up`, `next`."""
        return {"href": self.href(*segments, query=query), "rel": rel}

    def help(self, anchor: str) -> Link:
        """A link to a section of the API's documentation, e.g. `#/pack`."""
        return {"href": f"{self.base}/swagger{anchor}", "rel": "help"}

    def documented(self, anchor: str, *segments: str, query: str = "") -> Link:
        """A link whose rel is its documentation; clients look for how that ends, e.g. `/takeAction`."""
        return {"href": self.href(*segments, query=query), "rel": f"{self.base}/swagger{anchor}"}
