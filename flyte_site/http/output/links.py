"""Absolute links of responses, with rels that end in the names that clients search for."""

import re
from typing import TypedDict
from urllib.parse import quote

from django.http import HttpRequest

from flyte_site.http.paths import SEGMENT_SAFE

HOST_PATTERN = re.compile(r"[A-Za-z0-9._~\-\[\]:%]+")


class Link(TypedDict):
    """A link with an absolute `href` and a `rel`."""

    href: str
    rel: str


def build_path(*segments: str) -> str:
    """Build the escaped path of the segments, e.g. `/v1/packs/A%2Fb`."""
    return "".join("/" + quote(segment, safe=SEGMENT_SAFE) for segment in segments)


def get_base_url(request: HttpRequest) -> str:
    """Return the scheme and host that the client sees, e.g. `https://flyte.example.org:8443`.

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
        """Build the absolute URL of a path from unescaped segments and an already escaped query."""
        return self.base + (build_path(*segments) or "/") + (f"?{query}" if query else "")

    def to(self, rel: str, *segments: str, query: str = "") -> Link:
        """Build a link with a plain rel: `self`, `up` or `next`."""
        return {"href": self.href(*segments, query=query), "rel": rel}

    def help(self, anchor: str) -> Link:
        """Build a link to a section of the API's documentation, e.g. `#/pack`."""
        return {"href": f"{self.base}/swagger{anchor}", "rel": "help"}

    def documented(self, anchor: str, *segments: str, query: str = "") -> Link:
        """Build a link whose rel is the URL of its documentation; clients search for its ending, e.g. `/takeAction`."""
        return {"href": self.href(*segments, query=query), "rel": f"{self.base}/swagger{anchor}"}
